"""Metric conventions by name: what each paper's own code computes, beside the exact metrics."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy.typing as npt

from ood_bench.metrics import eloc, exact, featurenorm, fssd, mahalanobis, odin, openood, outlier_exposure
from ood_bench.metrics.curve import Curve, MetricError


@dataclass(frozen=True)
class Convention:
    """One way to turn scores into numbers.

    Attributes:
        name: as in configs and records.
        description: what is positive and how thresholds are chosen, for records and the footnotes of tables.
        compute: from scores ``[N_id]`` and ``[N_ood]``, higher for ID, and keyword options to metrics in percent;
            raises a :class:`MetricError` for scores that cannot be ranked.
        twins: exact metric that a metric of another name corresponds to.
        positive: the class that is positive in it.
    """

    name: str
    description: str
    compute: Callable[..., dict[str, float]]
    twins: Mapping[str, str] = field(default_factory=dict)
    positive: Literal["id", "ood"] = "id"

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword options."""
        parameters = inspect.signature(self.compute).parameters.values()
        return tuple(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)

    def exact_twin(self, metric: str) -> str | None:
        """The exact metric that ``metric`` corresponds to, if there is one."""
        twin = self.twins.get(metric, metric)
        return twin if twin in exact.NAMES else None


def _exact(id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike) -> dict[str, float]:
    return {name: 100 * value for name, value in exact.metrics(Curve.of(id_scores, ood_scores)).items()}


_ALL: Final = (
    Convention("exact", exact.DESCRIPTION, _exact),
    Convention("fssd", fssd.DESCRIPTION, fssd.metrics, {"auprc": "aupr_in"}),
    Convention("mahalanobis", mahalanobis.DESCRIPTION, mahalanobis.metrics),
    Convention("featurenorm", featurenorm.DESCRIPTION, featurenorm.metrics),
    Convention("odin", odin.DESCRIPTION, odin.metrics),
    Convention("eloc", eloc.DESCRIPTION, eloc.metrics),
    Convention(
        "outlier_exposure",
        outlier_exposure.DESCRIPTION,
        outlier_exposure.metrics,
        {"auprc_out_ratio_1to5": "aupr_out"},
        positive="ood",
    ),
    Convention("openood", openood.DESCRIPTION, openood.metrics, positive="ood"),
)
CONVENTIONS: Final[Mapping[str, Convention]] = {convention.name: convention for convention in _ALL}


def convention_named(name: str) -> Convention:
    """The convention of that name.

    Raises:
        MetricError: if there is none; the message lists those that exist.
    """
    try:
        return CONVENTIONS[name]
    except KeyError:
        raise MetricError(f"no metric convention {name!r}: choose one of {', '.join(CONVENTIONS)}") from None


def evaluate(convention: str, id_scores: npt.ArrayLike, ood_scores: npt.ArrayLike, **options: Any) -> dict[str, float]:
    """The metrics of one convention, in percent.

    Args:
        convention: name, one of :data:`CONVENTIONS`.
        id_scores: ``[N_id]``, higher means more in-distribution.
        ood_scores: ``[N_ood]``, likewise.
        options: of the convention: ``seed`` for fssd; ``row``, ``classes`` and ``grid`` for odin.

    Raises:
        MetricError: if the convention or an option is unknown, an option is missing, or the scores do not fit.

    >>> evaluate("featurenorm", [3.0, 2.0], [1.0, 0.0])
    {'auroc': 100.0, 'aupr_in': 100.0, 'fpr95': 0.0}
    """
    chosen = convention_named(convention)
    try:
        call = inspect.signature(chosen.compute).bind(id_scores, ood_scores, **options)
    except TypeError as error:
        known = ", ".join(chosen.options) or "none"
        raise MetricError(f"metric convention {convention}: {error}; its options are: {known}") from error
    return chosen.compute(*call.args, **call.kwargs)
