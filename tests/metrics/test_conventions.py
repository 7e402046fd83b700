import numpy as np
import pytest

from ood_bench.metrics import eloc, exact, featurenorm, fssd, mahalanobis, odin, openood, outlier_exposure
from ood_bench.metrics.conventions import CONVENTIONS, convention_named, evaluate
from ood_bench.metrics.curve import Curve, MetricError

GENERATOR = np.random.default_rng(0)
IDS, OODS = GENERATOR.beta(5, 2, 200).round(2) * 0.9 + 0.1, GENERATOR.beta(2, 3, 300).round(2) * 0.9 + 0.1
OPTIONS = {"odin": {"row": "msp", "grid": "data"}}


def test_exact_is_the_exact_metrics_in_percent() -> None:
    fractions = exact.metrics(Curve.of(IDS, OODS))
    assert evaluate("exact", IDS, OODS) == {name: 100 * value for name, value in fractions.items()}


def test_each_name_leads_to_its_module_and_passes_the_options_on() -> None:
    assert evaluate("fssd", IDS, OODS, seed=5) == fssd.metrics(IDS, OODS, seed=5)
    assert evaluate("mahalanobis", IDS, OODS) == mahalanobis.metrics(IDS, OODS)
    assert evaluate("featurenorm", IDS, OODS) == featurenorm.metrics(IDS, OODS)
    assert evaluate("eloc", IDS, OODS) == eloc.metrics(IDS, OODS)
    assert evaluate("outlier_exposure", IDS, OODS, seed=5) == outlier_exposure.metrics(IDS, OODS, seed=5)
    assert evaluate("openood", IDS, OODS) == openood.metrics(IDS, OODS)
    options = {"row": "odin", "grid": "data"}
    assert evaluate("odin", IDS, OODS, **options) == odin.metrics(IDS, OODS, row="odin", grid="data")


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_describes_itself_and_gives_percent(name: str) -> None:
    convention = convention_named(name)
    assert f"positive class {convention.positive.upper()}" in convention.description
    values = evaluate(name, IDS, OODS, **OPTIONS.get(name, {}))
    assert all(type(value) is float and 0 <= value <= 100 for value in values.values())
    assert max(values.values()) > 1
    assert all(convention_named(name).exact_twin(metric) for metric in values)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_sets_that_lie_apart_have_the_extreme_areas(name: str) -> None:
    for ids, expected in ((IDS + 100, 100), (IDS - 100, 0)):
        assert evaluate(name, ids, OODS, **OPTIONS.get(name, {}))["auroc"] == pytest.approx(expected, abs=1e-9)


def test_twins() -> None:
    assert convention_named("fssd").exact_twin("auprc") == "aupr_in"
    assert convention_named("odin").exact_twin("fpr95") == "fpr95"
    assert convention_named("exact").exact_twin("auprc") is None


def test_unknown_convention_lists_those_that_exist() -> None:
    with pytest.raises(MetricError, match="'openoood': choose one of exact, fssd, mahalanobis, featurenorm, odin"):
        evaluate("openoood", IDS, OODS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("exact", {"seed": 1}, "'seed'; its options are: none"),
        ("odin", {}, "'row'; its options are: row, classes, grid"),
        ("fssd", {"sede": 1}, "'sede'; its options are: seed"),
    ],
)
def test_unknown_or_missing_option_names_the_known_ones(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(MetricError, match=message):
        evaluate(name, IDS, OODS, **options)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_every_convention_refuses_nan(name: str) -> None:
    with pytest.raises(MetricError, match="1 of 2 OOD scores are NaN"):
        evaluate(name, IDS, [0.2, np.nan], **OPTIONS.get(name, {}))
