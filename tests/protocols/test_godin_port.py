import dataclasses

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.methods.base import Scorer
from ood_bench.protocols.base import build_protocol


def protocol(toys, **changes):
    return build_protocol({**toys.content("protocol", "godin_port"), **changes}, "published")


def with_accuracies(scorer, *known):
    """The same scorer, whose classifiers' cards say how accurate they are."""
    classifiers = [
        dataclasses.replace(one, card={**one.card, **more}) for one, more in zip(scorer.classifiers, known, strict=True)
    ]
    return Scorer(scorer.engine, classifiers, scorer.train)


def test_the_shipped_protocol_is_the_ports(toys):
    shipped = protocol(toys)
    assert (shipped.id_rows, shipped.halve, shipped.objective_batch) == (1000, True, 128)
    assert shipped.convention == "mahalanobis"
    assert {len(node["magnitudes"]) for node in shipped.methods.values()} == {6}


def test_half_of_the_chosen_epsilon_is_scored(toys):
    inside, outside = toys.image_set("id", 40), toys.image_set("blend", 12)
    found, using = toys.fitted("godin_port", magnitudes=[4.0, 8.0])
    outcome = protocol(toys, id_rows=15).run("godin_port", found, using, inside, outside)
    best = [4.0, 8.0][int(np.argmax(np.ravel(outcome.tuning["curve"])))]
    assert outcome.setting == {"epsilon": best / 2}
    expected = toys.scores("godin_port", View(outside), using=using, magnitudes=[best / 2])
    np.testing.assert_allclose(outcome.ood_scores, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"train_accuracy": 99.0, "id_accuracy": 91.0}, {"train_accuracy": 99.0, "id_accuracy": 91.0}),
        ({"id_accuracy": None}, {}),
    ],
)
def test_accuracies_are_those_of_the_network_that_scores(known, expected, toys):
    found = toys.detector("godin_port_baseline")
    using = with_accuracies(toys.scorer(found), known, {"train_accuracy": 1.0, "id_accuracy": 2.0})
    inside, outside = toys.image_set("id", 40), toys.image_set("blend", 12)
    assert protocol(toys, id_rows=15).run("x", found, using, inside, outside).also_measured == expected
