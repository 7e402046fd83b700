import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.scoring.tap_gradients import activation_times_gradient


class Overwritten(nn.Module):
    """A convolution whose output an activation overwrites in place, and a branch without use."""

    taps = {"before": "conv", "after": "same", "idle": "idle"}  # noqa: RUF012 - read only
    penultimate = "after"

    def __init__(self):
        super().__init__()
        self.conv, self.same = nn.Conv2d(3, 8, 3), nn.Identity()
        self.idle, self.last = nn.Linear(8, 2), nn.Linear(8, 4)

    def forward(self, x):
        pooled = self.same(F.relu_(self.conv(x))).mean(dim=(2, 3))
        self.idle(pooled)
        return self.last(pooled)


def test_by_hand_at_the_tap_before_the_last_layer(toys):
    """The gradient at each of the 36 positions is W' (p - 1 / K) / 36."""
    torch.manual_seed(0)
    given, images = toys.classifier_of(Overwritten()), toys.image_set("near", 7)
    widths, rows = activation_times_gradient(given, View(images), ["after"], 3)
    network = toys.double(given)
    pooled = toys.tap_value(network, "after", toys.inputs(images)).mean(dim=(2, 3))
    p = network.last(pooled).softmax(dim=1)
    expected = pooled * ((p - 1 / 4) @ network.last.weight) / 36
    assert widths == [8]
    torch.testing.assert_close(torch.from_numpy(rows).double(), expected.detach(), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("tap", ["before", "idle"])
def test_a_tap_that_the_logits_do_not_depend_on_is_refused(tap, toys):
    given = toys.classifier_of(Overwritten())
    with pytest.raises(ConfigError, match=f"the logits do not depend on what tap {tap} gives"):
        activation_times_gradient(given, View(toys.image_set("near", 3)), [tap, "after"], 3)
