import numpy as np
import pytest
import torch
from pytorch_ood.detector import NACUE, nac

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.coverage import edges
from ood_bench.models.resnet import ResNet

TAPS = ("conv1", "conv2", "fc1")  # of the toy network, by default


def products(network, x):
    """One image ``[3, 8, 8]`` in float64: mean activation times mean gradient of every channel, by tap."""
    kept = {}
    handles = [
        network.get_submodule(network.taps[tap]).register_forward_hook(
            lambda _module, _inputs, value, tap=tap: kept.update({tap: value})
        )
        for tap in TAPS
    ]
    loss = -torch.log_softmax(network(x[None].clone().requires_grad_())[0], dim=0).mean()
    found = []
    for tap in TAPS:
        (gradient,) = torch.autograd.grad(loss, kept[tap], retain_graph=True)
        channels = zip(kept[tap][0], gradient[0], strict=True)
        found.append([(a.mean() * g.mean()).item() for a, g in channels])
    for handle in handles:
        handle.remove()
    return found


def slow(train, image, steepness, bins, full):
    """Mean over taps of the mean coverage of an image's states; ``train`` are :func:`products` of those counted."""
    taps = []
    for tap, values in enumerate(image):
        bounds, covered = edges(bins[tap]), []
        for unit, value in enumerate(values):
            states = [1 / (1 + np.exp(-steepness[tap] * one)) for one in [value, *(row[tap][unit] for row in train)]]
            (place,) = [one for one in range(bins[tap] - 1) if bounds[one] <= states[0] < bounds[one + 1]]
            alike = sum(bounds[place] <= other < bounds[place + 1] for other in states[1:])
            covered.append(min(alike / full[tap], 1))
        taps.append(np.mean(covered))
    return np.mean(taps)


def test_scores_against_one_image_at_a_time_with_other_numbers_at_every_tap(toys):
    """All 240 training images are counted. A state at the edge of its bin may fall to the other side in float32."""
    images, options = toys.image_set("near", 10), {"steepness": [900.0, 300.0, 20.0], "bins": [10, 20, 50]}
    ours = toys.scores("nac_layers", View(images), full=[30, 5, 50], **options)
    network = toys.double(toys.classifier())
    train = [products(network, x) for x in toys.inputs(toys.TRAIN)]
    expected = [slow(train, products(network, x), **options, full=[30, 5, 50]) for x in toys.inputs(images)]
    np.testing.assert_allclose(ours, expected, atol=2e-3)
    assert np.std(expected) > 0.02


def test_sums_over_positions_are_means_with_a_steepness_times_the_square_of_their_number(toys):
    """The toy network's maps have 8 x 8 and 4 x 4 positions before its flat layer."""
    view = View(toys.image_set("near", 30))
    shapes = {}
    with torch.no_grad():
        network = toys.classifier().network
        for tap in TAPS:
            module = network.get_submodule(network.taps[tap])
            module.register_forward_hook(lambda _m, _i, value, tap=tap: shapes.update({tap: value[0, 0].numel()}))
        network(torch.zeros(1, 3, 8, 8))
    assert [shapes[tap] > 1 for tap in TAPS] == [True, True, False]
    sums = [0.3, 0.5, 20.0]
    means = [one * shapes[tap] ** 2 for one, tap in zip(sums, TAPS, strict=True)]
    summed = toys.scores("nac_layers", view, steepness=sums, pooling="sum", bins=[10], full=[20])
    np.testing.assert_allclose(
        toys.scores("nac_layers", view, steepness=means, bins=[10], full=[20]), summed, atol=2e-3
    )
    assert np.abs(summed - toys.scores("nac_layers", view, steepness=sums, bins=[10], full=[20])).max() > 0.02


def test_one_image_of_the_penultimate_tap_alone_is_nac(toys):
    view, options = View(toys.image_set("near", 30)), {"images": 80, "seed": 3}
    ours = toys.scores("nac_layers", view, taps=["fc1"], steepness=[5.0], bins=[10], full=[20], **options)
    alone = toys.scores("nac", view, steepness=5.0, bins=10, full=20, **options)
    np.testing.assert_allclose(ours, alone, atol=2e-3)
    assert np.std(alone) > 0.02


def test_pytorch_ood_averages_products_where_the_authors_multiply_sums(monkeypatch, toys):
    """On a tap without positions both are the same but for its bins (and 1e-12 added to p); on a map they are not."""
    bounds = torch.from_numpy(edges(10))
    monkeypatch.setattr(nac, "_bin_indices_geometric", lambda z, m: torch.bucketize(z, bounds, right=True) - 1)
    view, network, x = View(toys.image_set("near", 30)), toys.double(toys.classifier()), toys.inputs
    largest = {}
    for tap in ("fc1", "conv2"):
        theirs = NACUE(network, [network.get_submodule(network.taps[tap])], m_bins=10, alpha=30.0, o_star=20)
        theirs.fit([x(toys.TRAIN).requires_grad_()])
        ours = toys.scores("nac_layers", view, taps=[tap], steepness=[30.0], bins=[10], full=[20])
        largest[tap] = np.abs(ours + theirs(x(view.images).requires_grad_()).numpy()).max()
    assert largest["fc1"] < 5e-3
    assert largest["conv2"] > 0.02


def test_by_default_taps_are_the_ends_of_stages_and_the_pooled_features(toys):
    found = toys.detector("nac_layers")
    assert tuple(found.tap_names(toys.classifier())) == TAPS
    resnet = toys.classifier_of(ResNet(shape=(3, 8, 8), classes=4, widths=[4, 8], blocks=[1, 1]))
    assert list(found.tap_names(resnet)) == ["block1.1", "pooled"]
    assert toys.detector("nac_layers", taps=["all"]).tap_names(toys.classifier())[:3] == list(TAPS)


def test_one_forward_and_one_backward_pass_for_all_taps(toys):
    found, using = toys.fitted("nac_layers")
    view = View(toys.image_set("near", 20))
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, view, [{}])
    assert counts[""] == 20
    with toys.counting(using.classifier) as counts:
        found.raw_scores(using, view, [{}])
    assert counts == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steepness": [1.0, 2.0]}, "steepness has 2 values, and there are 3 taps: conv1, conv2, fc1"),
        ({"images": 3}, "images is 3, and there are 4 classes"),
    ],
)
def test_what_cannot_work_is_refused(changes, message, toys):
    with pytest.raises(ConfigError, match=f"method nac_layers: .*{message}"):
        toys.fitted("nac_layers", **changes)


def test_that_layers_are_not_tuned_one_by_one_is_stated(toys):
    assert "tunes them for each layer" in toys.detector("nac_layers").deviations()[0]
    assert toys.detector("nac_layers", taps=["fc1"]).deviations() == []
