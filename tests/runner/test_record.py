"""Parts of a record that no run on toys gives."""

import hashlib
from types import SimpleNamespace

import numpy as np

from ood_bench.runner.record import _checkpoint, _deviations, _ties


def test_ties_at_the_ends_of_the_ranking_are_counted():
    scores = np.array([1.0, 1.0, 0.5, 0.0]), np.array([1.0, -1.0, -1.0, 0.3])
    assert _ties(SimpleNamespace(convention_scores=scores)) == [
        "2 ID and 1 OOD scores tie at 1.",
        "0 ID and 2 OOD scores tie at -1.",
    ]
    assert _ties(SimpleNamespace(convention_scores=None)) == []


def test_the_hash_of_several_networks_is_that_of_their_hashes_in_order():
    def network(letter):
        spec = {"model": {"name": "lenet"}, "seed": 0}
        plain = {"spec": spec, "recipe": "toy", "id_accuracy": 90.0, "history": [], "trained_seconds": 1.0}
        return SimpleNamespace(card={**plain, "key": letter * 16, "weights_sha256": letter * 64})

    assert _checkpoint([network("a")])["sha256"] == "a" * 64
    expected = hashlib.sha256(("b" * 64 + "a" * 64).encode()).hexdigest()
    assert _checkpoint([network("b"), network("a")])["sha256"] == expected


def test_a_deviation_that_several_networks_share_is_said_once():
    recipe = SimpleNamespace(deviations=["Three."], autocast="none")
    protocol = SimpleNamespace(deviations=["One."], method_deviations={"msp": ["Two."], "odin": ["Other."]})
    detector = SimpleNamespace(deviations=lambda: ["One."])
    specs = [SimpleNamespace(checkpoint=None, recipe=recipe)] * 2
    cell = SimpleNamespace(protocol=protocol, detector=detector, method="msp", specs=specs)
    assert _deviations(cell, [None, None]) == ["One.", "Two.", "Three."]
