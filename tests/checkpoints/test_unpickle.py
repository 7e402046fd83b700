"""Pickles that would run commands if they were loaded the usual way are refused, and run nothing."""

import gzip
import io
import pickle
import zipfile

import pytest
import torch

from ood_bench.checkpoints.reader import read_state_dict
from ood_bench.errors import ArtifactError


def text(value):
    content = value.encode()
    return b"X" + len(content).to_bytes(4, "little") + content


def command(sentinel):
    return text(f"touch '{sentinel}'")


def called(module, name, argument):
    """Protocol 2: ``name(argument)``, and stop."""
    return b"\x80\x02" + f"c{module}\n{name}\n".encode() + argument + b"\x85R."


ATTACKS = {
    "os": lambda s: called("os", "system", command(s)),
    "posix": lambda s: called("posix", "system", command(s)),
    "python_2": lambda s: called("__builtin__", "eval", text(f"open({str(s)!r}, 'w')")),
    "eval": lambda s: called("builtins", "eval", text(f"open({str(s)!r}, 'w')")),
    "exec": lambda s: called("builtins", "exec", text(f"open({str(s)!r}, 'w')")),
    "popen": lambda s: b"\x80\x02csubprocess\nPopen\n" + text("touch") + text(str(s)) + b"\x86\x85R.",
    "import": lambda s: called("builtins", "__import__", text("os")),
    "getattr": lambda s: b"\x80\x02cbuiltins\ngetattr\ncos\npath\n" + text("join") + b"\x86R.",
    "in_a_state_dict": lambda s: (
        b"\x80\x02}" + text("state_dict") + b"}" + text("w") + b"cos\nsystem\n" + command(s) + b"\x85Rss."
    ),
    "in_an_ordered_dict": lambda s: (
        b"\x80\x02ccollections\nOrderedDict\n)R" + text("w") + b"cos\nsystem\n" + command(s) + b"\x85Rs."
    ),
    "stack_global": lambda s: b"\x80\x04" + text("os") + text("system") + b"\x93" + command(s) + b"\x85R.",
    "dotted_name": lambda s: (
        b"\x80\x04" + text("torch.serialization") + text("os.system") + b"\x93" + command(s) + b"\x85R."
    ),
    "inst": lambda s: b"\x80\x02(" + command(s) + b"ios\nsystem\n.",
    "obj": lambda s: b"\x80\x02(cos\nsystem\n" + command(s) + b"o.",
    "newobj": lambda s: b"\x80\x02csubprocess\nPopen\n" + command(s) + b"\x85\x81.",
    "setstate": lambda s: b"\x80\x02ccode\nInteractiveInterpreter\n)\x81" + command(s) + b"b.",
    "build_on_a_function": lambda s: b"\x80\x02ctorch._utils\n_rebuild_tensor\n}" + text("x") + b"K\x01sb.",
    "build_slots_of_a_class": lambda s: b"\x80\x02ccollections\nOrderedDict\nN}" + text("x") + b"K\x01s\x86b.",
    "torch_load": lambda s: called("torch", "load", text(str(s))),
    "torch_hub": lambda s: called("torch.hub", "load", text(str(s))),
    "numpy": lambda s: called("numpy.testing._private.utils", "runstring", text(f"open({str(s)!r}, 'w')")),
    "call_of_a_result": lambda s: b"\x80\x02cnet\nNet\n)R" + command(s) + b"\x85R.",
    "call_of_text": lambda s: b"\x80\x02" + text("os.system") + command(s) + b"\x85R.",
    "in_a_persistent_id": lambda s: b"\x80\x02" + text("storage") + b"cos\nsystem\n" + command(s) + b"\x85R\x86Q.",
    "class_from_a_persistent_id": lambda s: (
        b"\x80\x02(" + text("module") + b"cos\nsystem\nNNtQ" + command(s) + b"\x85R."
    ),
    "text_persistent_id": lambda s: b"\x80\x02Pos.system\n.",
    "list_persistent_id": lambda s: b"\x80\x02]Q.",
    "extension": lambda s: b"\x80\x02\x82\x01.",
    "out_of_band_buffer": lambda s: b"\x80\x05\x97.",
    "codec": lambda s: b"\x80\x02c_codecs\nencode\n" + text("abc") + text("rot13") + b"\x86R.",
}


def zip_of(main, storages=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", main)
        archive.writestr("archive/version", "3\n")
        for key, values in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", values.numpy().tobytes())
    return buffer.getvalue()


@pytest.fixture
def read(tmp_path):
    """Reads the state dict in a file of this content."""

    def read_content(content):
        (tmp_path / "net.pth").write_bytes(content)
        return read_state_dict(tmp_path / "net.pth")

    return read_content


@pytest.fixture(params=["legacy", "zip", "gzip"])
def wrapped(request, legacy):
    return {"legacy": legacy, "zip": zip_of, "gzip": lambda main: gzip.compress(legacy(main))}[request.param]


@pytest.mark.parametrize("attack", ATTACKS)
def test_refused_and_nothing_run(tmp_path, read, wrapped, attack):
    sentinel = tmp_path / "sentinel"
    with pytest.raises(ArtifactError, match=r"refused|Nothing of it was run"):
        read(wrapped(ATTACKS[attack](sentinel)))
    assert not sentinel.exists()


@pytest.mark.parametrize("attack", ["os", "stack_global", "in_a_state_dict", "eval", "inst", "dotted_name"])
def test_the_attacks_are_real(tmp_path, attack):
    pickle.loads(ATTACKS[attack](tmp_path / "sentinel"))  # noqa: S301 - the point of the test
    assert (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("part", range(3))
def test_attacks_in_the_other_pickles_of_the_legacy_layout(tmp_path, read, legacy, part):
    sentinel = tmp_path / "sentinel"
    file = io.BytesIO(legacy(b"\x80\x02}."))
    ends = []
    for _ in range(5):
        pickle.load(file)  # noqa: S301 - this test's own harmless pickles
        ends.append(file.tell())
    # After the magic number and the version: machine, main, list of storages.
    start, end, whole = ends[part + 1], ends[part + 2], file.getvalue()
    with pytest.raises(ArtifactError, match=r"mentions os\.system"):
        read(whole[:start] + ATTACKS["os"](sentinel) + whole[end:])
    assert not sentinel.exists()


def test_the_message_names_the_culprit_and_what_to_do(tmp_path, read, legacy):
    with pytest.raises(ArtifactError, match=r"net\.pth: its pickle mentions builtins\.eval.*state dict"):
        read(legacy(ATTACKS["eval"](tmp_path / "sentinel")))


def test_calls_of_unknown_classes_are_only_written_down(tmp_path, read, legacy):
    main = b"\x80\x02cevil.module\nRunsOnCreation\n" + command(tmp_path / "sentinel") + b"\x85R."
    with pytest.raises(ArtifactError, match=r"an object of evil\.module\.RunsOnCreation without any weights"):
        read(legacy(main))
    assert not (tmp_path / "sentinel").exists()


TOWER = b")" + b"2\x86" * 60  # a tuple of twice the tuple before it, sixty times: 2^60 values to hash or print
PAIRS = b"]q\x01(" + (b"]" + text("k") + b"aK\x01a") * 5000 + b"e0"
COLLIDING = b"".join(b"\x8a\x0b" + (i * (2**61 - 1)).to_bytes(11, "little") + b"N" for i in range(20_000))


@pytest.mark.parametrize(
    "main",
    [
        b"\x80\x02}" + TOWER + b"Ns.",
        b"\x80\x02" + TOWER + b"Q.",
        b"\x80\x02(" + text("storage") + TOWER + b"tQ.",
        b"\x80\x02ctorch\nSize\n" + TOWER + b"\x85R.",
        b"\x80\x04\x8f(" + TOWER + b"\x90.",
        b"\x80\x04(" + TOWER + b"\x91.",
        b"\x80\x02c__builtin__\nset\n]" + TOWER + b"a\x85R.",
        b"\x80\x02}(" + COLLIDING + b"u.",
        b"\x80\x02]q\x00" + b"(h\x00h\x00e" * 40 + b".",
        b"\x80\x02" + PAIRS + b"](" + b"ccollections\nOrderedDict\nh\x01\x85R" * 20_000 + b"e.",
        b"\x80\x04" + text("a" * 10_000_000) + b"q\x01](" + b"h\x01h\x01\x93" * 10_000 + b"e.",
        b"\x80\x02](" + b"K\x01" * 1_000_000 + b"tq\x01](" + b"ctorch\nSize\nh\x01R" * 10_000 + b"e.",
        b"\x80\x02(" + text("storage") + b"K\x01" * 1_000_000 + b"tq\x01](" + b"h\x01Q" * 10_000 + b"e.",
        b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".",
        b"\x80\x02)" + b"\x85" * 200_000 + b".",
        b"\x80\x04\x8e" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
        b"\x80\x02Nr\xff\xff\xff\x7f.",
        b"I" + b"9" * 1_000_000 + b"\n.",
    ],
)
def test_what_would_take_for_ever_or_fill_the_memory(read, main):
    with pytest.raises(ArtifactError):
        read(zip_of(main))


def test_more_instructions_than_a_network_takes(read, monkeypatch):
    monkeypatch.setattr("ood_bench.checkpoints.unpickle.Counted.left", 50)
    with pytest.raises(ArtifactError, match="holds a list"):
        read(zip_of(b"\x80\x02" + b"]" * 48 + b"."))
    with pytest.raises(ArtifactError, match="more instructions than a network takes"):
        read(zip_of(b"\x80\x02" + b"]" * 49 + b"."))


def test_a_list_of_storages_that_would_take_for_ever_to_hash(read, legacy):
    whole = legacy(b"\x80\x02}.")
    with pytest.raises(ArtifactError, match="does not list its storages"):
        read(whole.removesuffix(pickle.dumps([], protocol=2)) + b"\x80\x02]" + TOWER + b"a.")


def tensor(count=4, size=(2, 2), stride=(2, 1), offset=0, key="0"):
    """Protocol 2: a state dict of one tensor in a storage of so many values."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + integer(count)
    pairs = (b"(" + b"".join(map(integer, extents)) + b"t" for extents in (size, stride))
    call = b"ctorch._utils\n_rebuild_tensor\n(" + storage + b"%stQ" + integer(offset) + b"".join(pairs) + b"tR"
    return b"\x80\x02}" + text("w") + call + b"s."


def integer(value):
    content = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + content


@pytest.fixture(params=["legacy", "zip"])
def with_storage(request, legacy):
    """A file of a pickle and a storage of the values 0 to 3."""
    make, view = (legacy, b"N") if request.param == "legacy" else (zip_of, b"")
    return lambda main, key="0": make(main.replace(b"%s", view), {key: torch.arange(4.0)})


def test_a_tensor_in_a_storage(read, with_storage):
    assert torch.equal(read(with_storage(tensor()))["w"], torch.tensor([[0.0, 1.0], [2.0, 3.0]]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"count": 2**40},
        {"count": 5},
        {"count": -4},
        {"count": 1 << 63},
        {"offset": -1},
        {"offset": 1},
        {"offset": 2**40},
        {"size": (3, 2)},
        {"size": (-2, 2)},
        {"size": (2,)},
        {"size": (2**40, 2**40), "stride": (0, 0)},
        {"size": (5,), "stride": (0,)},
        {"size": (2**62, 4), "stride": (4, 1)},
        {"stride": (-2, 1)},
        {"size": (1,) * 17, "stride": (1,) * 17},
        {"key": "1"},
        {"key": "../data.pkl"},
    ],
    ids=str,
)
def test_tensors_outside_of_their_storages(read, with_storage, wrong):
    with pytest.raises(ArtifactError, match="damaged"):
        read(with_storage(tensor(**wrong)))


def test_storages_that_the_legacy_layout_does_not_list_are_not_left_as_they_are_in_memory(read, legacy):
    with pytest.raises(ArtifactError, match="does not list its storages"):
        read(legacy(tensor().replace(b"%s", b"N"), {}))


def test_names_of_any_case_are_one_to_torch(read):
    main = tensor(key="A").replace(b"%s", b"")
    with pytest.raises(ArtifactError, match="a name twice"):
        read(zip_of(main, {"a": torch.zeros(1), "A": torch.zeros(4)}))


def test_flipped_bits_of_a_storage_are_noticed(read):
    content = zip_of(tensor().replace(b"%s", b""), {"0": torch.arange(4.0)})
    values = torch.arange(4.0).numpy().tobytes()
    assert content.count(values) == 1
    with pytest.raises(ArtifactError, match="Bad CRC-32"):
        read(content.replace(values, values[:-1] + b"\x41"))


def test_python_2_strings_and_dictionaries(read, legacy):
    # {'a': 'caf\xe9', 'd': collections.OrderedDict([['k', 1]])} as Python 2.7 writes it
    main = b"\x80\x02}q\x01(U\x01aU\x04caf\xe9U\x01dccollections\nOrderedDict\n]q\x02]q\x03(U\x01kK\x01ea\x85Rq\x04u."
    with pytest.raises(ArtifactError, match="its keys: a, d"):
        read(legacy(main))
    with pytest.raises(ArtifactError, match="its keys: k"):
        read(legacy(main.replace(b"U\x01d", b"U\x03net")))


@pytest.mark.parametrize(
    "main",
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
def test_malformed(read, main):
    with pytest.raises(ArtifactError, match="truncated"):
        read(zip_of(main))
