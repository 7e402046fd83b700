import functools
import gzip
import io
import os
import sys
import tarfile
import tracemalloc
import unittest.mock
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from ood_bench.checkpoints.reader import read_state_dict
from ood_bench.errors import ArtifactError


def saved(value, zipped=True):
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def read(tmp_path, content):
    path = tmp_path / "net.pth.tar"
    path.write_bytes(content)
    return read_state_dict(path)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("nest", [None, "state_dict", "net", "model", "backbone", "params"])
def test_state_dicts(tmp_path, network, zipped, nest):
    state = network.state_dict()
    content = saved(state if nest is None else {"epoch": 3, "best_prec1": 91.5, nest: state}, zipped)
    assert_same(read(tmp_path, content), state)


KINDS = {
    "half": torch.arange(12).view(3, 4).half(),
    "complex": torch.tensor([1 + 2j]),
    "unsigned": torch.tensor([1, 65535], dtype=torch.uint16),
    "float8": torch.arange(5.0).to(torch.float8_e4m3fn),
    "part": torch.arange(24).view(4, 6).t()[1:3, ::2],
    "one": torch.tensor(3),
    "none": torch.empty(0, 7),
    "parameter": torch.nn.Parameter(torch.arange(3.0)),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_of_every_kind(tmp_path, zipped):
    kinds = {name: value for name, value in KINDS.items() if zipped or name not in ("unsigned", "float8")}
    kinds["shared"] = kinds["part"][:1]
    kinds["with_attributes"] = torch.arange(4)
    kinds["with_attributes"].note = "of its maker"
    found = read(tmp_path, saved(kinds, zipped))
    assert found.keys() == kinds.keys()
    for name, value in kinds.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name].float() if "8" in name else found[name], value.float() if "8" in name else value)


@pytest.mark.parametrize("zipped", [True, False])
def test_other_values_do_no_harm(tmp_path, network, zipped):
    others = {"metric": np.float64(0.9), "args": np.dtype("f4"), (1, 2): {3}, 0.5: b"", "device": torch.device("cpu")}
    content = saved({**others, "size": torch.Size([1]), "state_dict": network.state_dict()}, zipped)
    assert_same(read(tmp_path, content), network.state_dict())


@pytest.mark.parametrize("parallel", [False, True])
def test_whole_modules_of_2017(tmp_path, network, whole_module, parallel):
    expected = {name: value for name, value in network.state_dict().items() if "num_batches" not in name}
    content = whole_module(parallel)
    assert "oldnets" not in sys.modules
    assert b"oldnets.resnet" in content
    found = read(tmp_path, content)
    assert_same({name.removeprefix("module."): value for name, value in found.items()}, expected)
    assert all(name.startswith("module.") for name in found) == parallel


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_modules_of_today(tmp_path, network, zipped):
    assert_same(read(tmp_path, saved(network, zipped)), network.state_dict())


def test_safetensors(tmp_path, network):
    assert_same(read(tmp_path, safetensors.torch.save(network.state_dict())), network.state_dict())


def tarred(members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def zipped_up(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "wrap",
    [
        gzip.compress,
        lambda content: tarred({"../../densenet10.pth": content}, "w:gz"),
        lambda content: tarred({"net.pth": content, "._net.pth": b"Mac"}),
        lambda content: zipped_up({"s0/best.ckpt": content}),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_wrappers_come_off_and_nothing_is_unpacked_to_the_disk(tmp_path, network, wrap, zipped):
    assert_same(read(tmp_path, wrap(saved(network.state_dict(), zipped))), network.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth.tar"]
    assert not (tmp_path.parent.parent / "densenet10.pth").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\n<!DOCTYPE html><html><head><title>Dropbox</title>", r"a web page .* \?dl=1"),
        (gzip.compress(b"<html>quota exceeded</html>", mtime=0), "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "git lfs pull"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a checkpoint that this reader knows"),
        (b"\x80\x02}q\x00.", "not a checkpoint that this reader knows"),
        (gzip.compress(b"x" * 4096, mtime=0)[:-9], "truncated or damaged gzip"),
        (tarred({"a.pth": b"1", "b.pth": b"2"}), r"an archive of 2 files \(a\.pth, b\.pth\): unpack it"),
        (zipped_up({"s0/a.ckpt": b"1", "s1/a.ckpt": b"2"}), "an archive of 2 files"),
        (tarred(dict.fromkeys(("sys_info", "pickle", "tensors", "storages"), b"")), r"before 0\.1\.10"),
        (functools.reduce(lambda inner, _: gzip.compress(inner, mtime=0), range(4), b"x"), "wrapped in archives"),
    ],
)
def test_what_is_no_checkpoint_is_named_for_what_it_is(tmp_path, content, reason):
    with pytest.raises(ArtifactError, match=rf"(?s)net\.pth\.tar: .*{reason}"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (torch.zeros(3), "holds a Tensor"),
        ([1, 2], "holds a list"),
        ({"epoch": 3, "optimizer": {}}, "no tensors under any of .* its keys: epoch, optimizer"),
    ],
)
def test_checkpoints_without_a_network(tmp_path, value, reason):
    with pytest.raises(ArtifactError, match=reason):
        read(tmp_path, saved(value))


def test_missing_file(tmp_path):
    with pytest.raises(ArtifactError, match=r"cannot read the checkpoint at .*nowhere\.pth"):
        read_state_dict(tmp_path / "nowhere.pth")


def layouts(network, whole_module):
    state = network.state_dict()
    yield from (saved(state), saved(state, zipped=False), whole_module(False), safetensors.torch.save(state))
    yield tarred({"net.pth": saved(state, zipped=False)}, "w:gz")


def test_truncated_files_are_refused_at_any_length(tmp_path, network, whole_module):
    for content in layouts(network, whole_module):
        for length in {1, 9, 60, 200, *range(300, len(content) - 1, len(content) // 23), len(content) - 1}:
            with pytest.raises(ArtifactError):
                read(tmp_path, content[:length])


def test_damaged_files_raise_nothing_but_the_one_error(tmp_path, network, whole_module):
    random = np.random.default_rng(0)
    for content in (saved(network.state_dict()), saved(network.state_dict(), zipped=False), whole_module(False)):
        refused = 0
        for _ in range(300):
            damaged = bytearray(content)
            for place in random.integers(0, 6000, 3):
                damaged[place] = random.integers(256)
            try:
                read(tmp_path, bytes(damaged))
            except ArtifactError:
                refused += 1
        assert refused > 100


def test_a_module_that_holds_itself(tmp_path, legacy):
    # a = net.Net.__new__(net.Net); a.state = {"_modules": {"a": a}}
    main = b"\x80\x02cnet\nNet\n)\x81q\x00}(X\x08\x00\x00\x00_modules}(X\x01\x00\x00\x00ah\x00uub."
    with pytest.raises(ArtifactError, match="a module that holds itself"):
        read(tmp_path, legacy(main))


@pytest.mark.parametrize("wrap", [lambda content: gzip.compress(content, 1), lambda content: zipped_up({"a": content})])
def test_what_unpacks_to_far_more_than_its_size(tmp_path, wrap):
    with pytest.raises(ArtifactError, match="unpacks to more than"):
        read(tmp_path, wrap(bytes(80 << 20)))


@pytest.mark.parametrize("second", ["archive/data.pkl", "archive/DATA.pkl", "other/data.pkl"])
def test_an_archive_that_can_be_read_in_two_ways(tmp_path, network, second):
    buffer = io.BytesIO(saved(network.state_dict()))
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(second, b"\x80\x02}.")
    with pytest.raises(ArtifactError, match=r"a name twice|several pickles"):
        read(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("wrap", ["zip", "tar"])
def test_a_wrapper_with_a_name_twice(tmp_path, network, wrap):
    buffer, content = io.BytesIO(), saved(network.state_dict())
    with warnings.catch_warnings(action="ignore"):
        if wrap == "zip":
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("net.pth", b"other")
                archive.writestr("net.pth", content)
        else:
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                for part in (b"other", content):
                    entry = tarfile.TarInfo("net.pth")
                    entry.size = len(part)
                    archive.addfile(entry, io.BytesIO(part))
    with pytest.raises(ArtifactError, match="a name twice"):
        read(tmp_path, buffer.getvalue())


def test_safetensors_with_a_name_twice(tmp_path):
    header = (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    with pytest.raises(ArtifactError, match="a name twice"):
        read(tmp_path, len(header).to_bytes(8, "little") + header + bytes(4))


@pytest.mark.parametrize("layout", ["safetensors", "zip"])
def test_more_parts_than_a_network_has(tmp_path, monkeypatch, layout):
    monkeypatch.setattr("ood_bench.checkpoints.container._MOST_NAMES", 4)
    state = {name: torch.zeros(1) for name in "abcde"}
    with pytest.raises(ArtifactError, match=r"it holds \d+ parts, more than a network has"):
        read(tmp_path, safetensors.torch.save(state) if layout == "safetensors" else saved(state))


def test_a_zip_entry_that_unpacks_to_more_than_it_declares_is_not_unpacked_whole(tmp_path):
    raw = bytearray(zipped_up({"net.pth": bytes(60 << 20)}))
    start = raw.rfind(b"PK\x01\x02") + 24
    raw[start : start + 4] = (10).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(ArtifactError, match="damaged zip file"):
        read(tmp_path, bytes(raw))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 << 20


def test_compressions_that_cannot_be_bounded(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("net.pth", b"x")
    with pytest.raises(ArtifactError, match="unusual compression"):
        read(tmp_path, buffer.getvalue())


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_file_is_refused_without_being_opened(tmp_path, kind):
    path = {"device": Path("/dev/zero")}.get(kind, tmp_path / "net.pth")
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ArtifactError, match=r"(net\.pth|/dev/zero) is (a folder|a named pipe, a socket or a device)"):
        read_state_dict(path)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory(tmp_path, network, monkeypatch, error):
    monkeypatch.setattr(torch, "load", unittest.mock.Mock(side_effect=error))
    with pytest.raises(ArtifactError, match=r"net\.pth\.tar: there is not enough memory to read it \([\d,]+ bytes\)"):
        read(tmp_path, saved(network.state_dict()))


def test_quantised_tensors_are_named(tmp_path):
    content = saved({"w": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)})
    with pytest.raises(ArtifactError, match="quantised tensors"):
        read(tmp_path, content)


def test_torchscript_is_named(tmp_path):
    content = zipped_up({"net/data.pkl": b"\x80\x02}.", "net/constants.pkl": b"\x80\x02).", "net/version": b"3"})
    with pytest.raises(ArtifactError, match="TorchScript"):
        read(tmp_path, content)
