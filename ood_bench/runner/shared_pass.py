"""One pass over an image set for all methods together."""

import contextlib
import logging
from collections.abc import Iterable, Iterator

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)


class Requests:
    """What methods want of one image set, by network."""

    def __init__(self) -> None:
        self._wanted: dict[str, tuple[Classifier, list[Quantity], list[Steps]]] = {}

    def add(self, classifier: Classifier, quantities: Iterable[Quantity] = (), steps: Iterable[Steps] = ()) -> None:
        """Adds what one method wants of one network."""
        _, all_quantities, all_steps = self._wanted.setdefault(classifier.key, (classifier, [], []))
        all_quantities.extend(quantities)
        all_steps.extend(steps)

    def collect(self, engine: Engine, images: ImageSet) -> None:
        """Sends the images once through each network; the engine keeps the results in its banks."""
        for classifier, quantities, steps in self._wanted.values():
            engine.collect(classifier, images, quantities, steps)


@contextlib.contextmanager
def shared_pass(engine: Engine, images: ImageSet) -> Iterator[Requests]:
    """Collects requests in the block and runs one pass for all of them at its end.

    If that fails, because of one method or because memory is too small for all at once, a warning says so and the run
    goes on: later, each method has the engine compute what it needs by itself.

    Raises:
        OutOfTime: if the time limit is reached.
        ArtifactError: if the store cannot be written, which no method could work without.
    """
    requests = Requests()
    try:
        yield requests
        requests.collect(engine, images)
    except (OutOfTime, ArtifactError):
        raise
    except Exception as error:
        _log.warning("the shared pass over %s failed (%s): each method passes alone", images.title, error)
