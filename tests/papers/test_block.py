from pathlib import Path
from types import SimpleNamespace

import pytest
from torchvision.models import get_weight

from ood_bench.checkpoints.registry import registered
from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.papers.block import block_of, load_blocks


def record(**changes):
    """What a block looks at of a record."""
    names = {"model": "lenet", "id": "fashionmnist", "protocol": "fssd", "method": "msp", "ood": "mnist"}
    return SimpleNamespace(**names | changes)


def rewrite(conf: Path, old: str, new: str) -> None:
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_block_knows_its_published_numbers(conf):
    (block,) = load_blocks(conf)
    assert block.printed("odin", "mnist", "fpr80") == "20.0"
    assert block.printed("energy", "mnist", "fpr80") is None
    assert block.sources == ["README"]


def test_names_that_the_published_file_spells_differently(conf):
    names = "names: {base: msp, our_mnist: mnist, small_net: lenet, area: auroc}"
    rewrite(conf, "methods: [msp,", f"{names}\n  methods: [base,")
    rewrite(conf, "model: lenet", "model: small_net")
    (block,) = load_blocks(conf)
    assert block.printed("base", "our_mnist", "area") == "77.3"


def test_accuracies_are_published_for_every_ood_set():
    (block,) = [one for one in load_blocks() if one.name == "godin_port_cifar10"]
    assert block.printed("godin_port", "svhn", "id_accuracy") == "90.70"
    assert block.printed("godin_port_baseline", "kmnist", "train_accuracy") == "99.46"
    assert block.printed("godin_port", "kmnist", "auroc") is None
    assert any("swaps the accuracies of its two rows" in note for note in block.notes)


def test_a_block_knows_of_how_many_runs_a_number_is_and_what_its_paper_draws():
    blocks = {one.name: one for one in load_blocks()}
    assert [blocks["openood_cifar10"].runs("msp", ood, "auroc") for ood in ("near", "far")] == [3, 3]
    assert blocks["openood_cifar10"].runs("scale", "svhn", "fpr95_ood_positive") == 3  # its authors' table
    assert blocks["openood_imagenet1k"].runs("msp", "near", "auroc") == 1
    assert blocks["fssd_fashionmnist"].runs("msp", "mnist", "auroc") == 1
    assert [blocks["odin_wrn_cifar10"].draws(ood) for ood in ("gaussian", "isun")] == [True, False]
    assert blocks["featurenorm_wrn_cifar10_selected_norm"].draws("average")  # Places365 is one of its sets


@pytest.mark.parametrize(("name", "near", "full"), [("vit_b_16", "81.35", "60.35"), ("swin_t", "80.54", "61.81")])
def test_transformers_have_the_leaderboards_rows_of_their_own(name, near, full):
    block, whole = shipped(f"openood_imagenet1k_{name}"), shipped(f"openood_imagenet1k_{name}_fs")
    assert block.printed("mahalanobis_pp", "near", "auroc") == near
    for one in (block, whole):
        assert [method for method in one.methods if one.printed(method, "far", "auroc") is None] == []
    assert whole.printed("msp", "near", "auroc") == full
    settings = compose_settings([f"paper={block.name}"])
    entry = registered()[str(settings.checkpoint)]
    assert compose_settings([*entry.model]).model["torchvision_name"] == settings.model["torchvision_name"] == name
    sources = [*(settings.id[part] for part in ("train", "test", "validation", "validation_ood"))]
    sources += [node["source"] for node in settings.ood.values()]
    how = {(one["short_side"], one.get("interpolation", "bilinear")) for one in sources}
    weights = get_weight({"vit_b_16": "ViT_B_16", "swin_t": "Swin_T"}[name] + "_Weights.IMAGENET1K_V1").transforms()
    assert how == {(weights.resize_size[0], weights.interpolation.value)}


def test_which_records_belong_to_a_block(conf):
    blocks = load_blocks(conf)
    assert block_of(record(), blocks) is blocks[0]
    for change in ({"ood": "kmnist"}, {"method": "energy"}, {"model": "vgg"}, {"id": "mnist"}, {"protocol": "p"}):
        assert block_of(record(**change), blocks) is None


BASE = """
defaults:
  - override /model: small
  - override /id: cifar10
  - override /ood: [first, second]
  - override /method: [msp, odin]
  - override /protocol: fssd
model: {name: lenet} # as a paper's own width or depth would
paper: {name: base, title: T, csv: fssd, table: readme_results, metrics: [auroc], reference: R}
"""
CHILD = """
defaults:
  - base
  - override /ood: [second]
  - _self_
protocol: {name: "${.validation}_fssd", validation: fgsm}
paper: {name: child, methods: [fssd]}
"""


def test_a_block_is_named_by_what_its_file_selects_and_changes(conf):
    names = {"model/small": "{name: small}", "id/cifar10": "{name: cifar10}", "protocol/fssd": "{name: fssd}"}
    names |= {"ood/first": "{name: svhn}", "ood/second": "{name: mnist}"}
    for name, content in (names | {"paper/base": BASE, "paper/child": CHILD}).items():
        (conf / name).parent.mkdir(exist_ok=True)
        (conf / f"{name}.yaml").write_text(content)
    base, child = load_blocks(conf)[:2]
    assert (base.model, base.id, base.protocol) == ("lenet", "cifar10", "fssd")
    assert (base.ood, base.methods) == (["svhn", "mnist"], ["msp", "odin"])
    assert (child.protocol, child.ood, child.methods, child.title) == ("fgsm_fssd", ["mnist"], ["fssd"], "T")


def test_a_base_that_does_not_exist_is_named(conf):
    (conf / "paper" / "child.yaml").write_text(CHILD.replace("- base", "- nothing"))
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read"):
        load_blocks(conf)


def shipped(name):
    return next(one for one in load_blocks() if one.name == name)


def test_cells_of_another_table_of_the_same_paper():
    block = shipped("eloc_densenet_cifar10")
    assert block.printed("eloc", "gaussian", "fpr95") is not None
    assert block.printed("eloc", "tin_crop", "fpr95") is not None
    assert block.printed("eloc", "gaussian", "fpr95", further=0) is None
    assert block.tables == [
        "unofficial_readme_paper_column",
        "eccv2018_noise_secondhand",
        "unofficial_readme_impl_column",
    ]


def test_test_errors_of_the_classifier():
    block = shipped("odin_wrn_cifar100")
    assert list(block.test_errors) == ["readme_test_error", "arxiv_v5_table1"]
    assert block.test_errors["readme_test_error"] == "19.86"
    assert shipped("fssd_cifar10").test_errors == {}


def test_a_block_of_averages_holds_the_records_of_every_set():
    block = shipped("featurenorm_vgg11_cifar10_selected_norm")
    place = {"model": "vgg11", "id": "cifar10", "protocol": "featurenorm"}
    assert block.holds(record(ood="svhn", **place))
    assert not block.holds(record(ood="mnist", **place))
    assert block.printed("selected_norm_energy", "average", "fpr95") == "35.42"


def test_no_paper_configs_are_no_blocks(tmp_path):
    assert load_blocks(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("paper:\n", "papers:\n", "has no node `paper:`"),
        ("name: fssd_fashionmnist", "name: other", "paper.name is 'other'; it must be 'fssd_fashionmnist'"),
        ("title:", "heading:", r"paper: title: field required.*heading: unknown key"),
        ("metrics: [auroc, fpr80]", "metrics: []", "paper: metrics: "),
        ("ood: [mnist]", "ood: mnist", "paper: ood: "),
        ("ood: [mnist]", "ood: [mnist", "cannot be read"),
    ],
)
def test_a_wrong_config_is_refused_with_its_place(conf, old, new, message):
    rewrite(conf, old, new)
    with pytest.raises(ConfigError, match=rf"fssd_fashionmnist\.yaml: .*{message}|{message}"):
        load_blocks(conf)


def test_a_block_without_published_numbers_is_refused(conf):
    rewrite(conf, "table: readme_results", "table: table9")
    with pytest.raises(ConfigError, match="no table 'table9'"):
        load_blocks(conf)[0].printed("msp", "mnist", "auroc")


def test_every_shipped_block_has_published_numbers():
    for block in load_blocks():
        for metric in block.metrics:
            printed = [block.printed(method, ood, metric) for method in block.methods for ood in block.ood]
            assert any(printed), f"{block.name}: nothing published for {metric}"


def test_a_paper_of_ones_own_comes_with_its_own_numbers(conf, tmp_path):
    folder = tmp_path / "mine/paper"
    folder.mkdir(parents=True)
    text = (conf / "paper/fssd_fashionmnist.yaml").read_text()
    (folder / "mine.yaml").write_text(text.replace("name: fssd_fashionmnist", "name: mine"))
    theirs = load_blocks(conf, own=[tmp_path / "mine"])[1]
    assert (theirs.printed("msp", "mnist", "auroc"), theirs.csv_place) == ("77.3", "ood_bench/papers/fssd.csv")
    columns = "paper,table,method,model,id_dataset,ood_dataset,metric,value,source"
    (folder / "fssd.csv").write_text(f"{columns}\nme,readme_results,msp,lenet,fashionmnist,mnist,auroc,12.5,table 1\n")
    (folder / "mine.yaml").touch()
    shipped, mine = load_blocks(conf, own=[tmp_path / "mine"])
    assert (mine.printed("msp", "mnist", "auroc"), mine.csv_place) == ("12.5", "paper/fssd.csv")
    assert shipped.printed("msp", "mnist", "auroc") == "77.3"
