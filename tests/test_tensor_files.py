"""Tests of files of tensors: who may read them."""

import os
import re
from pathlib import Path

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.tensor_files import save_tensors

PACKAGE = Path(__file__).parents[1] / "fairseq_palbert"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_the_umask_decides_who_may_read(tmp_path, umask):
    before = os.umask(umask)
    try:
        for _ in range(2):  # also where the file is there
            save_tensors({"zeros": torch.zeros(3)}, tmp_path / "model", {"format": "pt"})
    finally:
        os.umask(before)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_path_that_safetensors_cannot_read_is_refused(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xff"))
    with pytest.raises(UserError, match="is no UTF-8.*: choose another place"):
        save_tensors({"zeros": torch.zeros(3)}, path, {"format": "pt"})
    assert not path.exists()


def test_every_file_of_tensors_is_written_so():
    calls = {path.name for path in PACKAGE.rglob("*.py") if re.search(r"\bsave_file\(", path.read_text("utf-8"))}
    assert calls == {"tensor_files.py"}
