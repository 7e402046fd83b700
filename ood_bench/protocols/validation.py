"""Protocols that come with published magnitudes, or search settings on rows that they leave out."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, View
from ood_bench.protocols.base import SeededProtocol
from ood_bench.tuning.search import Choice, refuse_id_only, search

_SEARCHES = ("per_set", "validation_ood", "id_only")


@dataclass
class ValidatedProtocol(SeededProtocol):
    """What the protocols of ODIN and of the leave-out ensemble share.

    Attributes:
        tune: ``published`` takes ``epsilons`` (or the detector's only setting); ``per_set`` searches the detector's
            grid on validation rows of the ID set and of the very set that is graded; ``validation_ood`` on those of
            ``validation`` instead, once for all OOD sets; ``id_only`` on those of the ID set alone, which is our
            choice and no paper's for these methods; ``none`` takes the detector's only setting.
        epsilons: published magnitude by OOD set.
        stands_for: by OOD set, the one whose published magnitude it takes, such as a rebuilt set its original's.
        temperature: temperature that goes with ``epsilons``.
        validation: config name of the OOD set that ``tune=validation_ood`` searches on; it must be one of the run's.
    """

    tune: Literal["published", "per_set", "validation_ood", "id_only", "none"] = "published"
    epsilons: dict[str, float] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    temperature: float = 1000.0
    validation: str = ""

    tuned_method: ClassVar[str]
    """The method that ``epsilons`` are for."""

    hedge: ClassVar[str] = ""
    """What stands behind the name of the set that a published magnitude was chosen on."""

    def __post_init__(self) -> None:
        self._sets: Mapping[str, ImageSet] = {}

    @abstractmethod
    def validation_rows_of(self, images: ImageSet, id_test: ImageSet) -> View:
        """The rows of a set that are never scored and may be searched on."""

    @abstractmethod
    def rows_in_words(self, inside: View, outside: View | None) -> str:
        """What a search has seen: validation rows of the ID set, and of an OOD set if one is used."""

    def attach(self, sets: Mapping[str, ImageSet]) -> None:
        """Takes note of the run's OOD sets, one of which may be the validation set."""
        self._sets = sets
        if self.tune == "validation_ood" and self.validation not in sets:
            raise ConfigError(
                f"tune=validation_ood: protocol.validation is {self.validation!r}, which is none of this run's OOD "
                f"sets ({', '.join(sets)}): add it to ood=[…] or name another"
            )

    def identity(self) -> dict[str, Any]:
        """The options, with the pixels of the validation set where one is used."""
        used = self._sets.get(self.validation) if self.tune == "validation_ood" else None
        options = {**super().identity(), "validation_set": None if used is None else used.fingerprint}
        if not self.stands_for:
            del options["stands_for"]
        return options

    def check(self, method: str, detector: Detector) -> None:
        """Refuses several candidates where nothing chooses among them."""
        published = self.tune == "published" and method == self.tuned_method and bool(self.epsilons)
        if self.tune == "id_only":
            refuse_id_only(method, detector)
        elif self.tune not in _SEARCHES and (count := len(detector.grid())) != 1 and not published:
            raise ConfigError(
                f"method {method} has {count} candidate settings: use tune=per_set, tune=validation_ood or "
                "tune=id_only, or give it one"
            )

    def seen(self, method: str, detector: Detector, id_test: ImageSet, ood: ImageSet) -> Sequence[View]:
        """The validation rows, where settings are searched on them.

        Raises:
            ConfigError: if nothing chooses among several settings for this OOD set.
        """
        searches_published = self.tune in ("per_set", "validation_ood")
        settings = detector.candidates() if searches_published else detector.grid()
        if (count := len(settings)) == 1 or self._published(method, ood) is not None:
            return ()
        if self.tune not in _SEARCHES:
            raise ConfigError(
                f"protocol {self.name}: protocol.epsilons names no magnitude for {ood.name}, and method {method} has "
                f"{count} candidates: add one, or use tune=per_set, tune=validation_ood or tune=id_only"
            )
        sets = [id_test]
        if self.tune != "id_only":
            sets.append(ood if self.tune == "per_set" else self._sets[self.validation])
        return [self.validation_rows_of(images, id_test) for images in sets]

    def _published(self, method: str, ood: ImageSet) -> dict[str, float] | None:
        """The setting that is published for this method and OOD set, if it is to be taken."""
        original = self.stands_for.get(ood.name, ood.name)
        if self.tune != "published" or method != self.tuned_method or original not in self.epsilons:
            return None
        return {"epsilon": self.epsilons[original], "temperature": self.temperature}

    def choose(self, method: str, detector: Detector, scorer: Scorer, id_test: ImageSet, ood: ImageSet) -> Choice:
        """The setting to score with, and how it was chosen."""
        if (setting := self._published(method, ood)) is not None:
            original = self.stands_for.get(ood.name, ood.name)
            where = "" if original == ood.name else f", for which {ood.name} stands in"
            return Choice(setting, f"images of {original}{self.hedge}: the magnitude published for this set{where}")
        seen = self.seen(method, detector, id_test, ood)
        words = self.rows_in_words(seen[0], seen[1] if len(seen) > 1 else None) if seen else ""
        return search(detector, scorer, seen, words)
