import numpy as np
import pytest

from ood_bench.metrics import evaluate
from ood_bench.models.classifier import Classifier
from ood_bench.protocols.outlier_exposure import OutlierExposureProtocol


def test_all_rows_are_scored_and_the_accuracy_stands_beside(toys):
    plain = toys.classifier()
    network = Classifier(plain.network, plain.mean, plain.std, {**plain.card, "id_accuracy": 87.5})
    found, using = toys.fitted("msp", using=toys.scorer_with(network))
    inside, outside = toys.image_set("id", 30), toys.image_set("blend", 40)
    outcome = OutlierExposureProtocol(name="toy", tune="none").run("msp", found, using, inside, outside)
    assert (len(outcome.id_scores), len(outcome.ood_scores)) == (30, 40)
    assert outcome.also_measured == {"id_accuracy": 87.5}
    assert outcome.tuned_on == "nothing"


def test_its_metrics_draw_a_fifth():
    random = np.random.default_rng(0)
    inside, outside = random.normal(1, 1, 100), random.normal(0, 1, 200)
    drawn = evaluate(OutlierExposureProtocol(name="toy").convention, inside, outside)
    assert drawn["auroc"] == pytest.approx(evaluate("exact", inside, outside)["auroc"], abs=5)
    assert drawn["auprc_out_ratio_1to5"] < evaluate("exact", inside, outside)["aupr_out"]
