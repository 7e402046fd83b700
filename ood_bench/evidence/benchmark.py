"""What is known of the image sets that scores are said to be of: names, row counts, classes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError, DataError
from ood_bench.evidence.evaluation import convention_of
from ood_bench.evidence.files import ID, SetScores
from ood_bench.papers.block import load_blocks
from ood_bench.utils.configs import searched
from ood_bench.utils.suggest import did_you_mean

_OWN = "for image sets of your own: --own --protocol plain --model NAME"


@dataclass(frozen=True)
class KnownSet:
    """One image set as its config describes it.

    Attributes:
        name: canonical name.
        variant: what its pixels are.
        rows: number of images, none where the config does not say.
        words: names that files of scores may have for it.
    """

    name: str
    variant: str
    rows: int | None
    words: frozenset[str]

    @classmethod
    def of(cls, node: Mapping[str, Any], source: Mapping[str, Any], *words: str) -> "KnownSet":
        """From a set's node and its source; a list ``cifar10/test_tin.txt`` adds the word ``tin``."""
        listed = PurePosixPath(str(source.get("path", ""))).stem.removeprefix("test_")
        variant = str(source.get("variant") or node.get("variant") or "")
        known = frozenset(word for word in (node["name"], listed, *words) if word)
        return cls(str(node["name"]), variant, source.get("count"), known)

    def check(self, found: SetScores, classes: int | None) -> None:
        """Refuses another number of rows, and labels that such a set cannot have.

        Args:
            found: its scores.
            classes: number of classes of an ID set, none for an OOD set, whose labels are all -1.

        Raises:
            DataError: if they do not fit.
        """
        count = len(found.scores)
        if self.rows is not None and count != self.rows:
            raise DataError(
                f"{self.name}: {count:,} scores, and the set has {self.rows:,} images",
                "give the scores of all rows of the list, in its order",
            )
        if found.labels is None:
            return
        lowest, highest = (-1, -1) if classes is None else (0, classes - 1)
        if wrong := int(((found.labels < lowest) | (found.labels > highest)).sum()):
            allowed = "-1" if classes is None else f"0 to {highest}"
            raise DataError(f"{self.name}: {wrong:,} of {count:,} labels are not {allowed}: are these its rows?")


@dataclass(frozen=True)
class Benchmark:
    """The sets of one ID set under one protocol, as a paper's block runs them.

    Attributes:
        model: the block's model.
        protocol: the protocol's name.
        convention: its metric convention.
        id: the ID test set.
        classes: number of its classes; none where it is not known.
        ood: the OOD sets.
    """

    model: str
    protocol: str
    convention: str
    id: KnownSet
    classes: int | None
    ood: tuple[KnownSet, ...]

    def matched(self, found: Mapping[str, SetScores]) -> tuple[SetScores, dict[KnownSet, SetScores], list[str]]:
        """The ID scores, those of each OOD set that is there, and the names that belong to none; all are checked.

        Raises:
            DataError: if there are no ID scores or none of an OOD set, or rows or labels do not fit.
        """
        names = {ID, *self.id.words} - {word for one in self.ood for word in one.words}
        inside = next((scores for name, scores in found.items() if name in names), None)
        if inside is None:
            raise DataError(f"no scores of the ID test set among {', '.join(found)}", f"call them {ID}, or id_test")
        if self.classes is not None:
            self.id.check(inside, self.classes)
        outside = {one: scores for one in self.ood for name, scores in found.items() if name in one.words}
        if not outside:
            words = ", ".join(sorted(word for one in self.ood for word in one.words))
            raise DataError(f"no scores of an OOD set of this benchmark among {', '.join(found)}", f"they are {words}")
        for one, scores in outside.items():
            one.check(scores, None)
        known = names.union(*(one.words for one in self.ood))
        return inside, outside, [name for name in found if name not in known]


def own_benchmark(id_name: str, protocol: str, model: str, names: Iterable[str], own: Sequence[Path] = ()) -> Benchmark:
    """A benchmark of sets that no config describes: the OOD sets are called as in the files, and no row is checked.

    Args:
        id_name: the ID set's name.
        protocol: the protocol whose metric convention counts.
        model: the network's name.
        names: of the OOD sets.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is no such protocol.
    """
    ood = tuple(KnownSet(name, "", None, frozenset([name])) for name in names)
    inside = KnownSet(id_name, "", None, frozenset([id_name]))
    return Benchmark(model, protocol, convention_of(protocol, own), inside, None, ood)


def benchmark_of(id_name: str, protocol: str, own: Sequence[Path] = ()) -> Benchmark:
    """The benchmark of the paper's block with that ID set and protocol.

    Args:
        id_name: the ID set's name.
        protocol: the protocol's name.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is none; the message lists those that exist.
    """
    blocks = load_blocks(own=own)
    block = next((one for one in blocks if (one.id, one.protocol) == (id_name, protocol)), None)
    if block is None:
        raise _unknown(id_name, protocol, sorted({(one.protocol, one.id) for one in blocks}))
    settings = compose_settings([*searched(own), f"paper={block.name}"])
    sets = [KnownSet.of(node, node["source"], key) for key, node in settings.ood.items()]
    inside = KnownSet.of(settings.id, settings.id["test"])
    convention = settings.protocol["convention"]
    return Benchmark(block.model, protocol, convention, inside, settings.id["classes"], tuple(sets))


def _unknown(id_name: str, protocol: str, known: Sequence[tuple[str, str]]) -> ConfigError:
    ids = [one for name, one in known if name == protocol]
    if ids:
        return ConfigError(
            f"no benchmark of protocol {protocol} has the ID set {id_name!r}{did_you_mean(id_name, ids)}",
            _OWN,
        )
    protocols = sorted({name for name, _ in known})
    listed = ", ".join(protocols)
    return ConfigError(
        f"no benchmark of protocol {protocol!r}{did_you_mean(protocol, protocols)}", f"known: {listed}; {_OWN}"
    )
