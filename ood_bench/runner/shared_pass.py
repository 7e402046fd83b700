"""One pass over an image set for all methods together."""

import logging
from collections.abc import Iterable

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity
from ood_bench.utils.time_limit import OutOfTime

_log = logging.getLogger(__name__)
Request = tuple[Classifier, Iterable[Quantity], Iterable[Steps]]
"""What one method wants of one network."""


def shared_pass(engine: Engine, images: ImageSet, requests: Iterable[Request]) -> None:
    """Sends images once through each network for all requests; the engine keeps the results in its banks.

    If that fails, because of one method or because memory is too small for all at once, a warning says so and the run
    goes on: later, each method has the engine compute what it needs by itself.

    Args:
        engine: runs the passes.
        images: the set.
        requests: in an iterator, so that a method which cannot say what it wants is caught here, too.

    Raises:
        OutOfTime: if the time limit is reached.
        ArtifactError: if the store cannot be written, which no method could work without.
    """
    wanted: dict[str, tuple[Classifier, list[Quantity], list[Steps]]] = {}
    try:
        for classifier, quantities, steps in requests:
            _, all_quantities, all_steps = wanted.setdefault(classifier.key, (classifier, [], []))
            all_quantities.extend(quantities)
            all_steps.extend(steps)
        for classifier, all_quantities, all_steps in wanted.values():
            engine.collect(classifier, images, all_quantities, all_steps)
    except (OutOfTime, ArtifactError):
        raise
    except Exception as error:
        _log.warning("the shared pass over %s failed (%s): each method passes alone", images.title, error)
