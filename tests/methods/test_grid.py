from ood_bench.methods.grid import product


def test_the_first_hyperparameter_is_the_outermost_loop():
    assert product(epsilon=[0.2, 0.1], temperature=[1, 10]) == [
        {"epsilon": 0.2, "temperature": 1},
        {"epsilon": 0.2, "temperature": 10},
        {"epsilon": 0.1, "temperature": 1},
        {"epsilon": 0.1, "temperature": 10},
    ]
    assert product(epsilon=[0.0]) == [{"epsilon": 0.0}]
