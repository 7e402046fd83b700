import pytest
import torch

from ood_bench.checkpoints.choice import Choice
from ood_bench.errors import ArtifactError

NAMES = ("encoder.conv.weight", "encoder.bn.bias", "encoder2.conv.weight", "blocks.1.norm.weight", "queue")
STATE = {name: torch.tensor(row) for row, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("ignore", "left"),
    [(("queue",), NAMES[:4]), (("encoder",), NAMES[2:]), (("*.bias", "blocks.*"), (NAMES[0], NAMES[2], NAMES[4]))],
)
def test_patterns_leave_tensors_out(ignore, left):
    found, left_out = Choice(ignore=ignore).applied(STATE)
    assert tuple(found) == left
    assert left_out == [name for name in NAMES if name not in left]


@pytest.mark.parametrize(
    ("rename", "expected"),
    [
        ({"encoder.": ""}, ("conv.weight", "bn.bias", *NAMES[2:])),
        ({"encoder": ""}, ("conv.weight", "bn.bias", *NAMES[2:])),
        ({"encoder": "net"}, ("net.conv.weight", "net.bn.bias", *NAMES[2:])),
        ({"blocks.*.norm": "layers.*.bn"}, (*NAMES[:3], "layers.1.bn.weight", "queue")),
        ({"encoder*": "net*"}, ("net.conv.weight", "net.bn.bias", "net2.conv.weight", *NAMES[3:])),
        ({"*": "net.*"}, tuple(f"net.{name}" for name in NAMES)),
        ({"queue": "blocks.2", "blocks": "b"}, (*NAMES[:3], "b.1.norm.weight", "b.2")),
    ],
)
def test_renaming(rename, expected):
    found, left_out = Choice(rename=tuple(rename.items())).applied(STATE)
    assert tuple(found) == expected
    assert [value.item() for value in found.values()] == list(range(5))
    assert left_out == []


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (Choice(ignore=("enc",)), "ignore enc: none of its tensors is called so"),
        (Choice(rename=(("enc", "net"),)), "rename enc: none of its tensors is called so"),
        (Choice(rename=(("encoder2", "encoder"),)), "two of its tensors are called encoder.conv.weight"),
    ],
)
def test_choices_that_do_not_work(choice, reason):
    with pytest.raises(ArtifactError, match=reason):
        choice.applied(STATE)


def test_only_what_is_chosen_is_part_of_a_key():
    assert Choice().identity() == {}
    assert Choice("ema", rename=(("a", "b"),)).identity() == {"entry": "ema", "rename": [["a", "b"]]}
