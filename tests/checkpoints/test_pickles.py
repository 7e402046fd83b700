"""The interpreter reads what Python's own pickler writes, in every protocol."""

import io
import pickle

import pytest

from ood_bench.checkpoints.inert import Inert, Name
from ood_bench.checkpoints.pickles import Interpreter
from ood_bench.checkpoints.restricted import admit, constructor
from ood_bench.errors import ArtifactError

SHARED_LIST = [1]
VALUES = [
    None,
    True,
    False,
    0,
    -1,
    255,
    65_536,
    -(2**31),
    2**80,
    0.1,
    float("inf"),
    "",
    "ä€😀",
    "x" * 300,
    b"",
    b"\x00\xff" * 200,
    (),
    (1,),
    (1, 2),
    (1, 2, 3),
    (1, 2, 3, 4),
    [],
    [SHARED_LIST, SHARED_LIST],
    list(range(2000)),
    {},
    {"a": {"b": [(), {}]}},
    {index: str(index) for index in range(2000)},
]


def interpreter(persistent=None):
    return Interpreter(admit, constructor({}), persistent or (lambda identity: identity))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_round_trip(value, protocol):
    content = pickle.dumps(value, protocol=protocol)
    file = io.BytesIO(content + b"rest")
    if protocol < 3 and isinstance(value, bytes) and not value:
        with pytest.raises(ArtifactError, match="bytes"):  # Python writes a call of bytes() for it
            interpreter().load(file)
        return
    found = interpreter().load(file)
    assert found == value
    assert type(found) is type(value)
    assert file.read() == b"rest"


@pytest.mark.parametrize("protocol", range(2, 6))
def test_sharing_and_cycles_survive(protocol):
    value: list[object] = [SHARED_LIST, SHARED_LIST]
    value.append(value)
    found = interpreter().load(io.BytesIO(pickle.dumps(value, protocol=protocol)))
    assert found[0] is found[1]
    assert found[2] is found


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_become_records(protocol):
    path = pickle.dumps(Name("a", "b"), protocol=protocol)
    found = interpreter().load(io.BytesIO(path))
    assert isinstance(found, Inert)
    assert found.name == Name("ood_bench.checkpoints.inert", "Name")
    assert found.state == {"module": "a", "qualname": "b"}


def test_python_2_strings_and_dictionaries():
    # {'a': 'caf\xe9', 'd': collections.OrderedDict([['k', 1]])} as Python 2.7 writes it
    content = (
        b"\x80\x02}q\x01(U\x01aU\x04caf\xe9U\x01dccollections\nOrderedDict\n]q\x02]q\x03(U\x01kK\x01ea\x85Rq\x04u."
    )
    assert interpreter().load(io.BytesIO(content)) == {"a": "café", "d": {"k": 1}}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"\x80\x02",
        b"\x80\x02.",
        b"R.",
        b"t.",
        b"u.",
        b"\x86.",
        b"h\x07.",
        b"(K\x01K\x02\x86a.",
        b"\xff.",
        b"1.",
    ],
)
def test_malformed(content):
    with pytest.raises(ArtifactError, match="truncated"):
        interpreter().load(io.BytesIO(content))
