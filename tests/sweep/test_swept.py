import pytest

from ood_bench.sweep.swept import for_jobs_only, for_selected


@pytest.mark.parametrize(
    ("word", "held"),
    [
        ("method.energy.temperature=2", "method.energy.temperature=choice(2)"),
        ("++method.odin.magnitudes=[0.01,0.02]", "++method.odin.magnitudes=choice([0.01,0.02])"),
        ("ood.mnist.source={count: 3}", "ood.mnist.source=choice({count:3})"),
        ("method.own.path='a,b'", "method.own.path=choice('a,b')"),
        ("++ood.mnist.source.md5=null", "++ood.mnist.source.md5=choice(__null__)"),
        ("method.energy.temperature=1,2", "method.energy.temperature=1,2"),
        ("method=msp,energy", "method=msp,energy"),
        ("~method.energy.temperature", "~method.energy.temperature"),
        ("train.epochs=3", "train.epochs=3"),
        ("checkpoint=a=b", "checkpoint=a=b"),
    ],
)
def test_settings_of_nodes_are_swept_so_that_only_jobs_see_them(word, held):
    assert for_jobs_only([word]) == [held]


@pytest.mark.parametrize("swept", ["paper=one,other", "'paper=glob(*)'", "experiment=one,other"])
def test_settings_of_what_swept_papers_select_reach_the_jobs_only(swept):
    words = [swept.strip("'"), "protocol.skip=20", "train.epochs=3", "model.depth=null", "results.root=r"]
    held = [words[0], "protocol.skip=choice(20)", "train.epochs=choice(3)", "model.depth=choice(__null__)", words[-1]]
    assert for_jobs_only(words) == held
    assert for_jobs_only(["paper=one", *words[1:]]) == ["paper=one", *words[1:]]


def test_null_reaches_the_jobs_as_null():
    words = for_jobs_only(["method=msp,energy", "++method.energy.temperature=null"])
    jobs = [["method=energy", words[1].replace("choice(", "").replace(")", "")], ["method=msp", "seed=null"]]
    assert for_selected(jobs) == [["method=energy", "++method.energy.temperature=null"], ["method=msp", "seed=null"]]


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
