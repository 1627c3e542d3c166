"""Tests of reading torch.save's files: as data, whole or not at all."""

import os
import pickle
import resource
import struct
from argparse import Namespace
from pathlib import Path, PurePosixPath

import pytest
import torch

from fairseq_palbert.checkpoints.formats.torch_file import read_torch_file

CONTENT = {"model": {"weight": torch.arange(24.0).reshape(4, 6), "bias": torch.ones(3)}, "args": Namespace(layers=2)}


@pytest.fixture(params=["zip", "legacy"])
def file(request, tmp_path):
    torch.save(CONTENT, tmp_path / "model.pt", _use_new_zipfile_serialization=request.param == "zip")
    return tmp_path / "model.pt"


def is_sound(content) -> bool:
    return (content["args"] == CONTENT["args"] and content["model"].keys() == CONTENT["model"].keys()
            and all(torch.equal(content["model"][name], tensor) for name, tensor in CONTENT["model"].items()))


def test_what_was_saved_is_read(file):
    assert is_sound(read_torch_file(file))


@pytest.mark.parametrize("first, flip", [(0, 0x01), (3, 0x80), (6, 0xFF)])
def test_every_byte_that_differs_is_noticed_or_means_nothing(tmp_path, first, flip):
    torch.save(CONTENT, tmp_path / "model.pt")
    whole = (tmp_path / "model.pt").read_bytes()
    refused = 0
    for place in range(first, len(whole), 9):
        (tmp_path / "model.pt").write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1:])
        try:
            assert is_sound(read_torch_file(tmp_path / "model.pt")), place
        except ValueError as error:
            assert "\n" not in str(error) and str(error)
            refused += 1
    assert refused > len(whole) // 27


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 30, 100, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_refused(file, kept):
    whole = file.read_bytes()
    file.write_bytes(whole[:int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError):
        read_torch_file(file)


@pytest.mark.parametrize("content", [b"text, \xff\xfe and more", b"PK\3\4", b"PK\3\4" + bytes(1000), b"\x80\2}q\0.",
                                     struct.pack("<Q", 2**60) + b"{}"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ValueError):
        read_torch_file(tmp_path / "model.pt")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_plain_pickle_is_refused_without_a_warning(tmp_path, recwarn, protocol):
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"a": 1}, protocol))
    with pytest.raises(ValueError):
        read_torch_file(tmp_path / "model.pt")
    assert not recwarn.list


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero", ""):
        with pytest.raises(ValueError, match="no regular file"):
            read_torch_file(tmp_path / name)
    with pytest.raises(ValueError, match="No such file"):
        read_torch_file(tmp_path / "missing")


class Call:
    """An object that is pickled as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
def test_code_does_not_run(tmp_path, zipped):
    for value in (Call(os.system, f"touch {tmp_path}/marker"), Call(eval, f"open({str(tmp_path / 'marker')!r}, 'w')"),
                  Call(Path.touch, tmp_path / "marker"), PurePosixPath("a")):
        torch.save({"model": {}, "args": value}, tmp_path / "model.pt", _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError):
            read_torch_file(tmp_path / "model.pt")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Call(os.system, f"touch {tmp_path}/marker"), 2))
    with pytest.raises(ValueError):
        read_torch_file(tmp_path / "bare.pkl")
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_few_bytes_do_not_take_all_memory(tmp_path, zipped):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    torch.save({"model": {}, "args": Call(bytearray, 2**31 - 1)}, tmp_path / "model.pt",
               _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="asks for a bytearray"):
        read_torch_file(tmp_path / "model.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
