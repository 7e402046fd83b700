"""Settings of jobs are those that Hydra composes, and Hydra composes once for each choice of configs."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from ood_bench.config import settings_of
from ood_bench.errors import ConfigError
from ood_bench.sweep.composer import Composer
from ood_bench.utils.configs import conf_dir

QUICKSTART = "experiment=quickstart"


@pytest.fixture(scope="module")
def loader():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def counted(loader, monkeypatch):
    """Composes jobs; beside it the choices that Hydra was asked to compose."""
    asked, load = [], loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda config, words: asked.append(words) or load(config, words))
    return Composer(compose("config", return_hydra_config=True), loader), asked


def test_settings_are_hydras(counted):
    words = [
        "method=[msp,energy]", "ood=uniform", "model=lenet", "seed=3", "method.energy.temperature=2.5", "tune=none",
        "id.train={test_fraction: 0.5}", "+train.note=x", "~train.note", "++data.limit=7", QUICKSTART,
        "results.root=${store.root}/here",
    ]  # fmt: skip
    composer, _ = counted
    whole = compose("config", overrides=words)
    assert composer(words) == settings_of(OmegaConf.masked_copy(whole, list(whole)), words)


def test_hydra_composes_once_for_each_choice_of_configs(counted):
    composer, asked = counted
    jobs = [
        (QUICKSTART, f"method={method}", f"seed={seed}", "sweep=null")
        for method in ("msp", "energy")
        for seed in range(3)
    ]
    assert [composer(job).seed for job in jobs] == [[0], [1], [2]] * 2
    assert asked == [[QUICKSTART, "method=msp"], [QUICKSTART, "method=energy"]]
    assert [list(composer((QUICKSTART, "method=msp", "data.limit=5")).method)] == [["msp"]]
    assert composer((QUICKSTART, "method=msp", "seed=4")).data.limit is None  # values of one job stay in it
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("method=msq", "no method 'msq'"),
        ("train.epoch=1", "no key 'train.epoch' (did you mean train.epochs?)"),
        ("model=null", "a group cannot be null"),
        ("seed=[", "cannot read 'seed=['"),
        ("seed=x", "seed"),
    ],
)
def test_what_cannot_be_composed_is_explained(counted, word, said):
    with pytest.raises(ConfigError) as caught:
        counted[0]([QUICKSTART, word])
    assert said in str(caught.value)
