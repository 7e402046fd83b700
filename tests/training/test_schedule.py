import numpy as np
import pytest
import torch

from ood_bench.training.schedule import ScheduleConfig, learning_rate_factor

LR = 0.3


def torch_rates(make_scheduler, steps):
    """Learning rates that torch's own scheduler gives, one a step of the scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def own_rates(schedule, epochs):
    return [LR * learning_rate_factor(schedule, LR, epochs, epoch, 0.5) for epoch in range(epochs)]


@pytest.mark.parametrize("gamma", [0.7, 1.0, 0.1])
def test_exponential_is_torchs(gamma):
    expected = torch_rates(lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma), 14)
    assert own_rates(ScheduleConfig("exponential", gamma=gamma), 14) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("milestones", [[], [3, 7], [7, 3], [1], [2, 2], [0, 9], [20]])
def test_multistep_is_torchs(milestones):
    def make(optimizer):
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.2)

    found = own_rates(ScheduleConfig("multistep", gamma=0.2, milestones=milestones), 10)
    assert found == pytest.approx(torch_rates(make, 10), rel=1e-12)


@pytest.mark.parametrize("final", [0.0, 1e-4])
@pytest.mark.parametrize("name", ["cosine", "linear"])
def test_what_goes_down_step_by_step_is_torchs(name, final):
    epochs, steps = 5, 8

    def make(optimizer):
        if name == "linear":
            return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, final / LR, epochs * steps)
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps, eta_min=final)

    schedule = ScheduleConfig(name, final_lr=final)
    found = [
        LR * learning_rate_factor(schedule, LR, epochs, epoch, step / steps)
        for epoch in range(epochs)
        for step in range(steps)
    ]
    assert found == pytest.approx(torch_rates(make, epochs * steps), rel=1e-9)


def test_constant_stays():
    assert own_rates(ScheduleConfig("constant", gamma=0.1, milestones=[1]), 3) == [LR] * 3


def test_one_cycle_is_three_points_joined_by_lines():
    epochs, steps = 8, 5
    schedule = ScheduleConfig("one_cycle", final_lr=0.03, warmup=0.25)
    places = [(epoch, step / steps) for epoch in range(epochs) for step in range(steps)]
    found = [LR * learning_rate_factor(schedule, LR, epochs, *place) for place in places]
    expected = np.interp([sum(place) for place in places], [0, 2, 8], [LR / 25, LR, 0.03])
    assert found == pytest.approx(expected.tolist(), rel=1e-12)
    assert max(found) == found[2 * steps] == LR
