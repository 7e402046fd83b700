"""Pickles that would run commands if they were loaded the usual way are refused, and run nothing."""

import gzip
import io
import pickle
import zipfile

import pytest

from ood_bench.checkpoints import read_state_dict
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


def zip_of(main):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", main)
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


@pytest.fixture(params=["legacy", "zip", "gzip"])
def wrapped(request, legacy):
    return {"legacy": legacy, "zip": zip_of, "gzip": lambda main: gzip.compress(legacy(main))}[request.param]


@pytest.mark.parametrize("attack", ATTACKS)
def test_refused_and_nothing_run(tmp_path, wrapped, attack):
    sentinel = tmp_path / "sentinel"
    path = tmp_path / "net.pth"
    path.write_bytes(wrapped(ATTACKS[attack](sentinel)))
    with pytest.raises(ArtifactError, match=r"refused|Nothing of it was run"):
        read_state_dict(path)
    assert not sentinel.exists()


@pytest.mark.parametrize("attack", ["os", "stack_global", "in_a_state_dict", "eval", "inst", "dotted_name"])
def test_the_attacks_are_real(tmp_path, attack):
    pickle.loads(ATTACKS[attack](tmp_path / "sentinel"))  # noqa: S301 - the point of the test
    assert (tmp_path / "sentinel").exists()


@pytest.mark.parametrize("part", range(3))
def test_attacks_in_the_other_pickles_of_the_legacy_layout(tmp_path, legacy, part):
    sentinel, path = tmp_path / "sentinel", tmp_path / "net.pth"
    whole = legacy(b"\x80\x02}.")
    ends = [end for end in range(1, len(whole) + 1) if _is_pickle_end(whole, end)]
    # After the magic number: protocol, system, main, list of storages.
    start, end = ends[part], ends[part + 1]
    path.write_bytes(whole[:start] + ATTACKS["os"](sentinel) + whole[end:])
    with pytest.raises(ArtifactError, match=r"mentions os\.system"):
        read_state_dict(path)
    assert not sentinel.exists()


def _is_pickle_end(whole, end):
    file = io.BytesIO(whole)
    while file.tell() < end:
        pickle.load(file)  # noqa: S301 - this test's own harmless pickles
    return file.tell() == end


def test_the_message_names_the_culprit_and_the_mend(tmp_path, legacy):
    path = tmp_path / "net.pth"
    path.write_bytes(legacy(ATTACKS["eval"](tmp_path / "sentinel")))
    with pytest.raises(ArtifactError, match=r"net\.pth: its pickle mentions builtins\.eval.*state dict"):
        read_state_dict(path)


def test_calls_of_unknown_classes_are_only_written_down(tmp_path, legacy):
    path = tmp_path / "net.pth"
    main = b"\x80\x02cevil.module\nRunsOnCreation\n" + command(tmp_path / "sentinel") + b"\x85R."
    path.write_bytes(legacy(main))
    with pytest.raises(ArtifactError, match=r"an object of evil\.module\.RunsOnCreation without any weights"):
        read_state_dict(path)
    assert not (tmp_path / "sentinel").exists()


def test_nesting_that_would_take_for_ever_to_hash_or_print(tmp_path, legacy):
    # A tuple of twice the tuple before it, sixty times, as a key, a persistent id and an argument.
    tower = b"(" + b")" + b"2\x86" * 60
    for main in (
        b"\x80\x02}" + tower + b"Ns1.",
        b"\x80\x02" + tower + b"Q.",
        b"\x80\x02ctorch\nSize\n" + tower + b"R.",
    ):
        path = tmp_path / "net.pth"
        path.write_bytes(legacy(main))
        with pytest.raises(ArtifactError):
            read_state_dict(path)
