"""Methods that train the run's network with another loss."""

from dataclasses import replace

import numpy as np
import pytest

from ood_bench.config import compose_settings
from ood_bench.data.views import View
from ood_bench.methods.retrained import retrained
from ood_bench.models.heads import without_default_head
from ood_bench.runner.execute import execute
from ood_bench.training.recipe import recipe_from

METHODS = {
    "logitnorm": ("linear", {"tau": 0.04}),
    "t2fnorm": ("linear", {"tau": 0.1}),
    "rotpred": ("rotation", {"weight": 1.0}),
    "vos": ("vos", {"start_epoch": 0, "queue": 5, "candidates": 50}),  # as toys.SMALL, for one epoch of few images
}
RECIPES = {"logitnorm": ("logitnorm_wrn", "logitnorm_resnet18"), "t2fnorm": ("t2fnorm_resnet18",)}
RECIPES["rotpred"] = ("rotpred_resnet18",)
RECIPES["vos"] = ("vos_wrn",)


def small(method, node):
    """Options of VOS's loss that begin within an epoch of few images."""
    options = METHODS[method][1] if method == "vos" else {}
    return [f"{node}.loss.options.{name}={value}" for name, value in options.items()]


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_the_runs_with_the_loss_of_the_shipped_config(method, toys):
    head, options = METHODS[method]
    networks = toys.networks(seed=4)
    base = toys.base_spec(4, batch_size=40, augment=["flip"], loss={"name": "logitnorm", "options": {"tau": 7.0}})
    (spec,) = toys.detector(method).networks(replace(networks, base=base))
    assert spec.recipe == recipe_from(
        {
            "name": f"toy_{method}",
            "epochs": 1,
            "batch_size": 40,
            "augment": ["flip"],
            "loss": {"name": method, "options": options},
        }
    )
    assert without_default_head(spec.model) == without_default_head({**base.model, "head": head})
    assert (spec.seed, spec.data, spec.initial) == (4, base.data, None)


def test_a_network_may_be_fine_tuned(toys):
    base = toys.base_spec()
    spec = retrained(base, "x", {"name": "mine", "start": "classifier", "epochs": 3})
    assert spec.initial is base
    assert (spec.recipe.name, spec.recipe.epochs, spec.recipe.loss) == ("mine", 3, base.recipe.loss)


@pytest.mark.parametrize("method", ["logitnorm", "t2fnorm"])
def test_the_score_is_msp_of_the_plain_logits(method, toys):
    view = View(toys.image_set("near", 20))
    np.testing.assert_array_equal(toys.scores(method, view), toys.scores("msp", view))


@pytest.mark.parametrize("method", METHODS)
def test_a_run_trains_it_beside_the_plain_network(method, quick):
    plain, other = execute(
        compose_settings([*quick, f"method=[msp,{method}]", *small(method, f"method.{method}.train")])
    ).records
    assert other.checkpoint.networks[0].recipe == f"quickstart_{method}"
    assert other.checkpoint.networks[0].weights_sha256 != plain.checkpoint.networks[0].weights_sha256
    assert np.isfinite(other.metrics["auroc"].value)


@pytest.mark.parametrize(("method", "recipe"), [(method, one) for method in METHODS for one in RECIPES[method]])
def test_the_shipped_recipe_is_a_whole_runs_too(method, recipe, quick):
    """The method then scores the run's own network: no other is trained."""
    head = METHODS[method][0]
    words = [*quick, f"train={recipe}", "train.epochs=1", "train.schedule={name:constant}", f"model.head={head}"]
    words += small(method, "train") + small(method, f"method.{method}.train")
    plain, own = execute(compose_settings([*words, f"method=[msp,{method}]"])).records
    assert own.checkpoint.networks[0].weights_sha256 == plain.checkpoint.networks[0].weights_sha256
    assert own.checkpoint.networks[0].recipe == recipe
