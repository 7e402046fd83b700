import pytest

from ood_bench.sweep.swept import for_jobs_only, for_selected


@pytest.mark.parametrize(
    ("word", "held"),
    [
        ("method.energy.temperature=2", "method.energy.temperature=choice(2)"),
        ("++method.odin.magnitudes=[0.01,0.02]", "++method.odin.magnitudes=choice([0.01,0.02])"),
        ("ood.mnist.source={count: 3}", "ood.mnist.source=choice({count:3})"),
        ("method.own.path='a,b'", "method.own.path=choice('a,b')"),
        ("method.energy.temperature=1,2", "method.energy.temperature=1,2"),
        ("method=msp,energy", "method=msp,energy"),
        ("~method.energy.temperature", "~method.energy.temperature"),
        ("train.epochs=3", "train.epochs=3"),
        ("checkpoint=a=b", "checkpoint=a=b"),
    ],
)
def test_settings_of_nodes_are_swept_so_that_only_jobs_see_them(word, held):
    assert for_jobs_only([word]) == [held]


def test_a_job_keeps_the_settings_of_what_it_selects():
    setting, other = "method.energy.temperature=2", "ood.mnist.source.count=3"
    jobs = [
        ["method=msp", "ood=mnist", setting, other, "seed=1"],
        ["method=energy", "ood=kmnist", setting, other, "seed=1"],
        ["method=[msp,energy]", "ood=[mnist,kmnist]", setting, other],
        ["seed=1", setting, other],
        ["method=msp", "ood=mnist", "method.unknown.key=1"],
    ]
    assert for_selected(jobs) == [
        ["method=msp", "ood=mnist", other, "seed=1"],
        ["method=energy", "ood=kmnist", setting, "seed=1"],
        ["method=[msp,energy]", "ood=[mnist,kmnist]", setting, other],
        ["seed=1", setting, other],
        ["method=msp", "ood=mnist", "method.unknown.key=1"],
    ]
