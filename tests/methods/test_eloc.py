"""The leave-out ensemble against its formula, written out image by image and in float64."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.training.recipe import recipe_from

RECIPE = {"loss": {"name": "margin_entropy", "options": {"margin": 0.4}}, "outlier_batch_size": 4, "name": "mine"}
MAGNITUDES, TEMPERATURES = [0.1, 0.02, 0.0], [1.0, 1000.0]


def shares(network, x, temperature):
    logits = [value / temperature for value in network(x[None])[0].tolist()]
    total = sum(math.exp(value) for value in logits)
    return [math.exp(value) / total for value in logits]


def slow_member(network, x, setting, loss, std):
    """Steps down the loss by its gradient's sign, then takes the maximum less the entropy."""
    magnitude, temperature = setting["epsilon"], setting["temperature"]
    leaf = x[None].clone().requires_grad_()
    logs = (network(leaf) / temperature).log_softmax(dim=1)[0]
    value = -logs.max() if loss == "ce" else -(logs.exp() * logs).sum()
    (gradient,) = torch.autograd.grad(value, leaf)
    step = torch.where(gradient >= 0, 1.0, -1.0)[0] / torch.tensor(std).view(-1, 1, 1)
    stepped = shares(network, x - magnitude * step, temperature)
    return max(stepped) + sum(share * math.log(share) for share in stepped)


@pytest.mark.parametrize("loss", ["ce", "entropy"])
def test_equals_the_formula_summed_over_the_members(loss, toys):
    images = toys.image_set("near", 8)
    changes = {"magnitudes": MAGNITUDES, "temperatures": TEMPERATURES, "perturb_loss": loss}
    found, using = toys.fitted("eloc", **changes)
    ours = found.raw_scores(using, View(images), found.grid())[:, :, 0]
    members = [toys.double(given) for given in using.classifiers]
    for setting, row in zip(found.grid(), ours, strict=True):
        expected = [sum(slow_member(one, x, setting, loss, toys.STD) for one in members) for x in toys.inputs(images)]
        # float32 logits: at T = 1000 the digits behind the common value are what counts.
        scale = np.std(expected) if setting["temperature"] > 1 else 1
        np.testing.assert_allclose(row, expected, atol=2e-4 * scale, rtol=0)


def test_settings_share_passes(toys):
    images = toys.image_set("near", 12)
    found, using = toys.fitted("eloc", magnitudes=MAGNITUDES, temperatures=TEMPERATURES)
    grid = found.grid()
    assert grid[:2] == [{"epsilon": 0.1, "temperature": 1.0}, {"epsilon": 0.1, "temperature": 1000.0}]
    with toys.counting(using.classifiers[1]) as counts:
        found.raw_scores(using, View(images), grid)
    assert counts[""] == 12 * (1 + 2 * 2)
    assert counts["backward"] == 12 * 2


def test_at_a_high_temperature_scores_stay_distinct(toys):
    scores = toys.scores("eloc", View(toys.image_set("near", 40)), magnitudes=[0.0], temperatures=[5000.0])
    members, outputs = 4, 3
    np.testing.assert_allclose(scores, members * (1 / outputs - math.log(outputs)), atol=0.01)
    assert len(np.unique(scores)) == 40


def test_accuracy_averages_the_padded_softmax(toys):
    found, using = toys.fitted("eloc")
    assert found.findings() == {}
    images = toys.image_set("id", 40, seed=8)
    network_shares = [[shares(toys.double(given), x, 1.0) for x in toys.inputs(images)] for given in using.classifiers]
    expected = np.zeros((40, toys.CLASSES))
    for spec, rows in zip(found.networks(toys.networks()), network_shares, strict=True):
        for number, row in enumerate(rows):
            for output, label in enumerate(spec.known):
                expected[number, label] += row[output] / 4
    np.testing.assert_allclose(found.probabilities(using, View(images)), expected, atol=1e-6)
    found.fit(replace(using, test=images), np.random.RandomState(0))
    correct = 100 * np.mean(expected.argmax(axis=1) == images.labels)
    assert found.findings() == {"ensemble_accuracy": pytest.approx(correct)}
    assert correct > 90  # sorted classes in place of the permuted ones would be at chance


def with_recipe(toys, **changes):
    return toys.detector("eloc", train={**RECIPE, **changes})


def test_every_fold_is_a_classifier_of_its_own(toys):
    networks = toys.networks(seed=4)
    specs = with_recipe(toys, selection="last").networks(networks)
    order = [int(one) for one in np.random.RandomState(3).permutation(4)]
    assert [spec.known for spec in specs] == [tuple(order[:fold] + order[fold + 1 :]) for fold in range(4)]
    assert {(spec.classes, spec.seed, spec.recipe.epochs) for spec in specs} == {(3, 4, 1)}
    assert [spec.recipe.name for spec in specs] == [f"mine_fold{fold}" for fold in (1, 2, 3, 4)]
    assert len({spec.key for spec in specs} | {networks.base.key}) == 5
    assert all(spec.outliers is None and spec.validation is None for spec in specs)


def test_a_recipe_that_chooses_the_epoch_needs_validation_images(toys):
    networks = toys.networks()
    with pytest.raises(
        ConfigError, match=r"name some, as in ood@method\.eloc\.validation=isun, or keep the last epoch"
    ):
        with_recipe(toys, selection="msp_auroc").networks(networks)
    validation = toys.image_set("static", 9)
    specs = with_recipe(toys, selection="msp_auroc").networks(replace(networks, validation=validation))
    assert {spec.validation.fingerprint for spec in specs} == {validation.fingerprint}
    assert with_recipe(toys).networks(replace(networks, validation=validation))[0].validation is None


def test_published_checkpoints_are_found_fold_by_fold(toys, tmp_path):
    names = [f"checkpoints/cifar10_fold_{fold}_dense_checkpoint/model_best.pth.tar" for fold in (1, 2)]
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(bytes([number]))
    base = replace(toys.base_spec(), checkpoint=tmp_path)
    found = toys.detector("eloc", folds=2, train={**RECIPE, "selection": "msp_auroc"})
    specs = found.networks(replace(toys.networks(), base=base))
    assert [spec.checkpoint for spec in specs] == [tmp_path / name for name in names]
    assert {spec.recipe.selection for spec in specs} == {"last"}
    with pytest.raises(ConfigError, match=r"it holds 0 files \*_fold_3_\*_checkpoint/model_best\.pth\.tar"):
        toys.detector("eloc", folds=4, train=RECIPE).networks(replace(toys.networks(), base=base))
    file = replace(base, checkpoint=tmp_path / names[0])
    with pytest.raises(ConfigError, match="must be the folder of one unpacked archive of all folds"):
        with_recipe(toys).networks(replace(toys.networks(), base=file))


@pytest.mark.parametrize("name", ["eloc_densenet", "eloc_wrn", "eloc_lenet"])
def test_shipped_recipes_have_the_published_loss(name, toys):
    recipe = recipe_from(toys.content("train", name))
    assert (recipe.batch_size, recipe.outlier_batch_size, recipe.outlier_order) == (100, 100, "shuffled")
    assert (recipe.objective.margin, recipe.objective.beta, recipe.objective.passes) == (0.4, 0.2, "two")
