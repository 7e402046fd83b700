import pytest

from ood_bench.errors import ConfigError
from ood_bench.methods.grid import product, refuse_steps


def test_the_first_hyperparameter_is_the_outermost_loop():
    assert product(epsilon=[0.2, 0.1], temperature=[1, 10]) == [
        {"epsilon": 0.2, "temperature": 1},
        {"epsilon": 0.2, "temperature": 10},
        {"epsilon": 0.1, "temperature": 1},
        {"epsilon": 0.1, "temperature": 10},
    ]
    assert product(epsilon=[0.0]) == [{"epsilon": 0.0}]


@pytest.mark.parametrize(
    ("lists", "word"),
    [
        (([],), "magnitudes"),
        (([0.1, -0.1],), "magnitudes"),
        (([0.1], []), "temperatures"),
        (([0.1], [0]), "temperatures"),
    ],
)
def test_impossible_candidates(lists, word):
    with pytest.raises(ConfigError, match=f"method mine: {word} must be one or more numbers"):
        refuse_steps("mine", *lists)
    refuse_steps("mine", [0.0], [0.5])
    refuse_steps("mine", [0.0])
