import pickle

import pytest

from ood_bench.errors import ConfigError, reason


@pytest.mark.parametrize(("hint", "text"), [("", "no data"), ("fetch it", "no data: fetch it")])
def test_an_error_is_its_message_and_its_hint(hint, text):
    error = ConfigError("no data", hint=hint)
    assert (str(error), error.message, error.hint) == (text, "no data", hint)
    assert reason(error) == text


def test_an_error_travels_between_processes():
    back = pickle.loads(pickle.dumps(ConfigError("no data", hint="fetch it")))  # noqa: S301 - our own bytes
    assert (type(back), str(back), back.hint) == (ConfigError, "no data: fetch it", "fetch it")


def test_an_unexpected_error_is_named_by_its_class():
    assert reason(KeyError("a\nb")) == r"KeyError: 'a\nb'"
    assert reason(ValueError("one\n  two")) == "ValueError: one two"
    assert reason(ValueError()) == "ValueError: ValueError"
