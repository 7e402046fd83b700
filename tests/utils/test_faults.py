import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from ood_bench.utils.faults import faults


class Short(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: int


def faults_of(content, *known):
    with pytest.raises(ValidationError) as caught:
        Short.model_validate(content)
    return faults(caught.value, *known)


def test_long_values_are_cut():
    message = faults_of({"a": "x" * 500})
    assert message.startswith("a: input should be a valid integer")
    assert message.endswith("xx...; b: field required")
    assert len(message) < 200


def test_the_nearest_key_is_named_for_an_unknown_one():
    content = {"a": 1, "b": 2, "colur": 3}
    assert faults_of(content) == "colur: unknown key"
    assert faults_of(content, ["colour", "size"]) == "colur: unknown key (did you mean colour?)"


def test_many_faults_are_cut_short():
    assert faults_of(dict.fromkeys("cdefghij", 0), (), 4).endswith("and 6 more")
