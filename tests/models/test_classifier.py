import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError, ConfigError, NotFiniteError
from ood_bench.models.card import read_card, scoring_key, write_card
from ood_bench.models.classifier import (
    Classifier,
    accuracy,
    build_network,
    fast_layout,
    freeze,
    load_classifier,
    save_classifier,
    to_layout,
)
from ood_bench.models.resnet import ResNet
from ood_bench.utils.files import sha256_file

SHAPE, CLASSES = (3, 8, 8), 4
MEAN, STD = (0.5, 0.25, 0.1), (0.2, 0.35, 0.6)
MODEL = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet", "channel_dropout": 0.25, "dropout": 0.5}
RESNET = {
    "_target_": "ood_bench.models.resnet.ResNet",
    "name": "small",
    "blocks": [1, 1, 1, 1],
    "widths": [4, 4, 8, 8],
}
CPU = torch.device("cpu")


def card(model=MODEL, **changes):
    normalisation = {"mean": list(MEAN), "std": list(STD)}
    spec = {"model": model, "shape": list(SHAPE), "classes": CLASSES, "normalisation": normalisation}
    return {"key": "0123", "spec": spec, "recipe": "toy", **changes}


def network_of(model=MODEL, seed=0):
    torch.manual_seed(seed)
    return build_network(model, SHAPE, CLASSES)


def classifier():
    return Classifier(freeze(network_of()), MEAN, STD)


@pytest.fixture
def saved(tmp_path):
    save_classifier(tmp_path / "toy", network_of(), card())
    return tmp_path / "toy"


# Building


def test_name_and_variants_are_not_passed_to_the_network():
    network = build_network({**MODEL, "variants": {"x": {}}, "dropout": 0.1}, SHAPE, CLASSES)
    assert (network.dropout.p, network.fc2.out_features, network.conv1.in_channels) == (0.1, 4, 3)


class Bare(nn.Module):
    """A network without named taps."""

    def __init__(self, shape, classes):
        super().__init__()


class Nothing:
    """No network at all."""

    taps = {}  # noqa: RUF012 - read only

    def __init__(self, shape, classes):
        pass


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "x"}, "cannot find the class None"),
        (
            {**MODEL, "_target_": "ood_bench.models.lenet.AlexNet"},
            "cannot find the class ood_bench.models.lenet.Al",
        ),
        ({**MODEL, "_target_": "nowhere.LeNet"}, "cannot find the class nowhere.LeNet"),
        ({**MODEL, "droput": 0.5}, "droput"),
        ({**MODEL, "dropout": 1.5}, "cannot build"),
    ],
)
def test_models_that_cannot_be_built(model, message):
    with pytest.raises(ConfigError, match=message):
        build_network(model, SHAPE, CLASSES)


@pytest.mark.parametrize("kind", [Bare, Nothing])
def test_networks_without_taps_are_refused(kind, monkeypatch):
    monkeypatch.setattr("ood_bench.utils.build.get_class", lambda _: kind)
    with pytest.raises(ConfigError, match=r"has no mapping `taps`|is not a subclass of torch"):
        build_network({"_target_": "x.Y", "name": "x"}, SHAPE, CLASSES)


# Normalisation


def test_normalisation_against_the_formula():
    images = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    ours = classifier().normalise(images)
    assert (ours.dtype, ours.shape) == (torch.float32, (1, 3, 16, 16))
    for channel in range(3):
        for value in (0, 1, 127, 128, 255):
            expected = (value / 255 - MEAN[channel]) / STD[channel]
            assert ours[0, channel].flatten()[value].item() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_channel_std_turns_a_step_into_raw_pixels():
    one = classifier()
    assert one.channel_std().shape == (1, 3, 1, 1)
    images = torch.full((1, 3, 8, 8), 100, dtype=torch.uint8)
    brighter = torch.full((1, 3, 8, 8), 151, dtype=torch.uint8)  # by 0.2
    torch.testing.assert_close(one.normalise(images) + 0.2 / one.channel_std(), one.normalise(brighter))


def test_accuracy_counts_every_image_once():
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (600, *SHAPE), dtype=np.uint8)  # more than two batches
    many = ImageSet.of("toy", pixels, random.integers(0, CLASSES, 600))
    found = classifier()
    with torch.no_grad():
        predicted = found.network(found.normalise(torch.from_numpy(pixels))).argmax(dim=1).numpy()
    right = int((predicted == many.labels).sum())
    assert 0 < right < 600
    assert accuracy(found, many) == pytest.approx(100 * right / 600)
    with pytest.raises(ValueError, match="toy has no labels"):
        accuracy(found, ImageSet.of("toy", pixels))
    with torch.no_grad():
        found.network.fc2.bias[0] = float("nan")
    with pytest.raises(NotFiniteError, match="gives NaN or infinity for images of toy"):
        accuracy(found, many)


def test_the_key_names_weights_and_network_whatever_their_name_and_provenance():
    base = {**card(), "weights_sha256": "a"}
    spec = base["spec"]
    others = [
        {**base, "weights_sha256": "b"},
        {**base, "spec": {**spec, "shape": [3, 9, 9]}},
        {**base, "spec": {**spec, "classes": 5}},
        {**base, "spec": {**spec, "normalisation": {"mean": MEAN, "std": (0.2, 0.35, 0.61)}}},
        {**base, "spec": {**spec, "normalisation": {"mean": STD, "std": MEAN}}},
        {**base, "spec": {**spec, "model": {**MODEL, "_target_": RESNET["_target_"]}}},
        {**base, "spec": {**spec, "model": {**MODEL, "dropout": 0.25}}},
        {**base, "spec": {**spec, "model": {**MODEL, "head": "godin_inner"}}},
        {**base, "spec": {**spec, "model": {**MODEL, "taps": {"mid": "relu1"}}}},
        {**base, "spec": {**spec, "model": {**MODEL, "taps": {"mid": "relu2"}}}},
        {**base, "spec": {**spec, "model": {**MODEL, "channels_last": ["mid"]}}},
    ]
    assert len({scoring_key(one) for one in (base, *others)}) == 12
    renamed = {**base, "recipe": "other", "spec": {**spec, "seed": 3, "model": {**MODEL, "name": "other"}}}
    assert scoring_key(renamed) == scoring_key(base) == Classifier(freeze(network_of()), MEAN, STD, base).key


# On disk


@pytest.mark.parametrize("model", [MODEL, RESNET])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_round_trip(model, layout, tmp_path):
    network = to_layout(network_of(model), layout)
    network.train()(torch.randn(8, *SHAPE))  # running statistics, if there are any
    save_classifier(tmp_path / "toy", network, card(model))
    loaded = load_classifier(tmp_path / "toy", CPU)
    state = network.state_dict()
    assert list(loaded.network.state_dict()) == list(state)
    for name, value in loaded.network.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8))
    x = (images.float() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(loaded.network(loaded.normalise(images)), network.eval()(x), rtol=1e-4, atol=1e-5)
    assert not any(module.training for module in loaded.network.modules())
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
    assert (loaded.mean, loaded.std, loaded.device) == (MEAN, STD, CPU)
    assert list(loaded.taps) == list(network.taps)
    assert loaded.penultimate == network.penultimate


def test_the_card_is_kept_with_the_hash_of_the_weights(saved):
    loaded = load_classifier(saved, CPU)
    assert dict(loaded.card) == {**card(), "weights_sha256": sha256_file(saved / "weights.safetensors")}
    assert sorted(path.name for path in saved.iterdir()) == ["classifier.json", "weights.safetensors"]


def test_equal_weights_have_equal_hashes_and_others_do_not(tmp_path):
    keys = []
    for number, (seed, layout) in enumerate(
        [(0, torch.contiguous_format), (0, torch.channels_last), (1, torch.contiguous_format)]
    ):
        save_classifier(tmp_path / str(number), to_layout(network_of(seed=seed), layout), card())
        keys.append(load_classifier(tmp_path / str(number), CPU).key)
    assert keys[0] == keys[1] != keys[2]


def test_loading_draws_nothing_from_the_global_generator(saved):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    load_classifier(saved, CPU)
    torch.testing.assert_close(torch.rand(2), expected, rtol=0, atol=0)


def flipped(content):
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize("change", [flipped, lambda content: content[:-1], lambda content: content + b"\0"])
def test_changed_weights_are_an_error_with_a_mend(change, saved):
    path = saved / "weights.safetensors"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ArtifactError, match="is truncated or was changed since it was written: delete the folder"):
        load_classifier(saved, CPU)


def edited(change):
    def edit(path):
        content = read_card(path.parent)
        change(content)
        write_card(path.parent, content)

    return edit


CARDS = {
    "missing": lambda path: path.unlink(),
    "no weights": lambda path: (path.parent / "weights.safetensors").unlink(),
    "empty": lambda path: path.write_text(""),
    "a list": lambda path: path.write_text("[]"),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\xfa"),
    "no hash": edited(lambda content: content.pop("weights_sha256")),
    "no deviation": edited(lambda content: content["spec"]["normalisation"].pop("std")),
}


@pytest.mark.parametrize("kind", CARDS)
def test_damaged_cards_are_an_error_with_a_mend(kind, saved):
    CARDS[kind](saved / "classifier.json")
    with pytest.raises(ArtifactError, match=r"incomplete or damaged .*: delete the folder"):
        load_classifier(saved, CPU)


@pytest.mark.parametrize(
    "target", ["antigravity.X", "os.system", "torch.nn.Linear", "ood_bench.models.heads.nn.Linear"]
)
def test_a_card_alone_makes_networks_of_this_package_only(saved, monkeypatch, target):
    edited(lambda content: content["spec"]["model"].update(_target_=target))(saved / "classifier.json")
    monkeypatch.setattr("ood_bench.utils.build.get_class", lambda _: pytest.fail("the class was looked up"))
    with pytest.raises(ArtifactError, match=f"is of {target}, no network of this package"):
        load_classifier(saved, CPU)


@pytest.mark.parametrize(
    ("part", "other"), [("model", {**MODEL, "_target_": "antigravity.X"}), ("classes", 5), ("shape", [3, 9, 9])]
)
def test_a_card_of_another_network_than_was_asked_for(saved, monkeypatch, part, other):
    wanted = read_card(saved)["spec"]
    load_classifier(saved, CPU, wanted)
    edited(lambda content: content["spec"].update({part: other}))(saved / "classifier.json")
    monkeypatch.setattr("ood_bench.utils.build.get_class", lambda _: pytest.fail("the class was looked up"))
    with pytest.raises(ArtifactError, match=r"another network than was asked for .*: delete the folder"):
        load_classifier(saved, CPU, wanted)


@pytest.mark.parametrize("change", [{"fc1.bias": None}, {"fc2.weight": torch.zeros(5, 128)}, None])
def test_weights_of_another_network_are_an_error_though_their_hash_fits(change, saved):
    """A layer fewer, one of another size, and no tensors at all."""
    path = saved / "weights.safetensors"
    if change is None:
        path.write_bytes(b"{}" * 40)
    else:
        save_file({name: value for name, value in {**load_file(path), **change}.items() if value is not None}, path)
    edited(lambda content: content.update(weights_sha256=sha256_file(path)))(saved / "classifier.json")
    with pytest.raises(ArtifactError, match=r"(?s)do not fit lenet .*: delete the folder"):
        load_classifier(saved, CPU)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="cannot write"):
        save_classifier(tmp_path / "file" / "toy", network_of(), card())


@pytest.mark.parametrize(("filters", "layout"), [(4, torch.contiguous_format), (8, torch.channels_last)])
def test_narrow_networks_are_not_laid_out_channels_last_on_a_cpu(filters, layout):
    """Their backward pass would end the process on CPUs without AVX-512."""
    assert fast_layout(ResNet((3, 8, 8), 3, blocks=(1, 1), widths=(filters, 8))) == layout
