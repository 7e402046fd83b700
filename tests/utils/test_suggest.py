import pytest

from ood_bench.utils.suggest import did_you_mean


@pytest.mark.parametrize(
    ("word", "hint"),
    [("odni", " (did you mean odin?)"), ("mahalanobs", " (did you mean mahalanobis?)"), ("xyz", ""), ("", "")],
)
def test_the_nearest_known_word_is_named(word, hint):
    assert did_you_mean(word, ["msp", "odin", "mahalanobis"]) == hint
    assert did_you_mean(word, []) == ""


def test_a_beginning_beats_a_word_of_the_same_letters():
    assert did_you_mean("densenet", ["densenet_bc_100_12", "resnet56"]) == " (did you mean densenet_bc_100_12?)"


def test_a_nested_key_is_named_with_its_place():
    known = ["epochs", "train.epochs", "train.optimizer.lr"]
    assert did_you_mean("train.epoch", known) == " (did you mean train.epochs?)"
    assert did_you_mean("optimizer.epochs", known) == ""
