"""The trained method of docs/trained_method.md runs as it is written."""

import re
from pathlib import Path

import pytest

import ood_bench

PAGE = (Path(__file__).parents[1] / "docs/trained_method.md").read_text(encoding="utf-8")
FILES = ("energy_bounded.py", "my_conf/train/energy_bounds.yaml", "my_conf/method/energy_bounded.yaml")
BLOCKS = re.findall(r"```(?:python|yaml)\n(.*?)```", PAGE, re.DOTALL)
QUICK = [
    "experiment=quickstart",
    "ood=gaussian",
    "ood.gaussian.source.count=20",
    "train.epochs=1",
    "method.energy_bounded.train.epochs=1",
    "method.energy_bounded.outliers.source.count=30",
    "id.train.test_fraction=0.9",
    "scoring.resamples=0",
    "device=cpu",
]


@pytest.fixture
def own_method(tmp_path, monkeypatch):
    """The page's files in a folder of their own, which is also the working directory."""
    for name, content in zip(FILES, BLOCKS, strict=True):
        assert f"`{name}`" in PAGE
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"hydra.searchpath=[file://{tmp_path}/my_conf]"


def test_it_trains_and_scores_beside_the_shipped_methods(own_method):
    words = [own_method, *QUICK, "method=[energy,energy_bounded]"]
    plain = ood_bench.run(words)
    assert list(plain["method"]) == ["energy", "energy_bounded"]
    assert plain.loc[0, "auroc"] != plain.loc[1, "auroc"]
    other = ood_bench.run([*words, "method.energy_bounded.train.loss.options.weight=5"])
    assert other.loc[0, "auroc"] == plain.loc[0, "auroc"]
    assert other.loc[1, "auroc"] != plain.loc[1, "auroc"]
    trained = list(Path("outputs/quickstart/store/classifiers").glob("*/classifier.json"))
    assert len(trained) == 3  # the plain classifier, and one for each weight


def test_its_files_have_less_than_eighty_lines():
    assert len("".join(BLOCKS).splitlines()) < 80
