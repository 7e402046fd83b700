"""What decides how sums are rounded stands in every record."""

import torch

from ood_bench.runner.environment import environment
from ood_bench.utils.device import threads


def test_threads_linear_algebra_and_determinism_are_those_of_the_moment():
    before = environment(torch.device("cpu"))
    assert before.blas.endswith(torch.backends.cpu.get_cpu_capability())
    assert before.deterministic is False
    with threads(before.threads + 1):
        torch.use_deterministic_algorithms(True)
        try:
            inside = environment(torch.device("cpu"))
        finally:
            torch.use_deterministic_algorithms(False)
    assert (inside.threads, inside.deterministic) == (before.threads + 1, True)
    assert environment(torch.device("cpu")) == before
