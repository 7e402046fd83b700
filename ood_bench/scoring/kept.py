"""An engine that runs nothing: what no bank holds is named, with the number of images that a pass would take."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from ood_bench.data.imageset import Array, ImageSet, Rows32
from ood_bench.data.views import View
from ood_bench.errors import ArtifactError
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import LinearHead
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity


class NotKeptError(ArtifactError):
    """Something is wanted that was never kept.

    Attributes:
        what: what it is, in words.
        images: number of images of the pass that would make it; 0 where no pass would.
    """

    def __init__(self, what: str, images: int = 0, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what, self.images = what, images


class KeptEngine(Engine):
    """Gives what banks hold and raises :class:`NotKeptError` for the rest; writes nothing."""

    def head(self, classifier: Classifier, images: ImageSet) -> LinearHead:
        """The last layer, as the run that filled the banks has checked it."""
        return classifier.head()

    def cached(self, what: str, identity: Mapping[str, Any], compute: Callable[[], npt.NDArray[Any]]) -> Array:
        """The array, if it was computed before."""
        if (found := self.kept(what, identity)) is None:
            raise NotKeptError(f"{what} was not kept")
        return found

    def _complete(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Mapping[str, Steps]
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        rows, scores = self._kept(classifier, view, quantities, steps)
        lacking = [one.key for one in quantities if one not in rows]
        lacking += [one.name for name, one in steps.items() if name not in scores]
        if lacking:
            raise NotKeptError(f"{', '.join(lacking)} of {view.images.title} was not kept", len(view))
        return rows, scores
