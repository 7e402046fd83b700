"""Which rows are predicted right, and what records say of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.metrics import SELECTIVE, Measure, measure_selective
from ood_bench.models.classifier import load_classifier
from ood_bench.results.scores import ScoreStore
from ood_bench.runner.correctness import correct_rows
from ood_bench.runner.execute import execute
from ood_bench.runner.prepare import prepare
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.quantities import LOGITS

IMAGES = np.zeros((4, 1, 2, 2), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 2])


class Made(Engine):
    """An engine whose networks are their logits."""

    def __init__(self):
        super().__init__(None)

    def collect(self, classifier, images, quantities, steps=()):
        return {LOGITS: np.array(classifier.logits, dtype=np.float32)}


def rows(logits, known=(None,), id_rows=None, scored=4, labels=LABELS):
    networks = [
        SimpleNamespace(key=str(place), logits=one, device=SimpleNamespace(type="cpu"))
        for place, one in enumerate(logits)
    ]
    scorer = SimpleNamespace(engine=Made(), classifiers=networks, classifier=networks[0])
    cell = SimpleNamespace(
        test=ImageSet.of("test", IMAGES, labels), specs=[SimpleNamespace(known=one) for one in known]
    )
    return correct_rows(cell, SimpleNamespace(id_scores=np.zeros(scored), id_rows=id_rows), scorer)


WINNERS = [[3, 0, 0], [0, 3, 0], [0, 3, 0], [0, 0, 3]]


@pytest.mark.parametrize(("id_rows", "expected"), [(None, [1, 1, 0, 1]), ([2, 1], [0, 1])])
def test_only_scored_rows_count(id_rows, expected):
    chosen = None if id_rows is None else np.array(id_rows)
    assert rows([WINNERS], id_rows=chosen, scored=len(expected)).tolist() == [bool(one) for one in expected]


def test_what_a_network_has_not_learned_has_probability_0():
    """Outputs of the first are classes 2 and 0, of the second 1 and 2: the sums are 2, 1, 2, 0."""
    first = [[1, 0], [0, 0], [9, 0], [0, 9]]
    second = [[0, 0], [9, 0], [0, 9], [0, 0]]
    assert rows([first, second], [(2, 0), (1, 2)]).tolist() == [False, True, True, False]
    assert rows([[[0, 1], [1, 0], [1, 0], [1, 0]]], [(2, 0)]).tolist() == [True, False, True, True]


def test_it_is_unknown_without_rows_or_labels():
    assert rows([WINNERS], scored=3) is None
    assert rows([WINNERS], labels=None) is None


def test_a_record_holds_the_metrics_of_correct_predictions(quick):
    """Those of mahalanobis, which reads no logits, are the network's own; those of an ensemble of the mean softmax."""
    pair = ["method=[msp,mahalanobis,deep_ensemble]", "method.deep_ensemble.members=2"]
    records = execute(compose_settings([*quick, *pair])).records
    settings = compose_settings(quick)
    test = prepare(settings).sets.test
    for record in records:
        probabilities = []
        for network in record.checkpoint.networks:
            (folder,) = (settings.store.root / "classifiers").glob(f"*{network.key}")
            classifier = load_classifier(folder, torch.device("cpu"))
            with torch.inference_mode():
                logits = classifier.network(classifier.normalise(torch.from_numpy(test.images.copy())))
            probabilities.append(logits.double().softmax(dim=1).numpy())
        correct = np.mean(probabilities, axis=0).argmax(axis=1) == test.labels
        assert 0 < correct.mean() < 1
        kept = ScoreStore(settings.store.root / "scores").read(record.cell_key)
        expected = measure_selective(kept.id, kept.ood, correct=correct[kept.id_rows])
        assert {name: Measure(one.value, one.low, one.high) for name, one in record.selective.items()} == expected
        assert tuple(expected) == SELECTIVE
