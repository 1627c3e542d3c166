"""A checkpoint that a user brings is data: damaged, inflating and code-bearing files are refused in one line."""

import io
import re
import zipfile

import pytest
import torch

from fairseq_palbert.checkpoints import training_state
from fairseq_palbert.checkpoints.convert import convert
from fairseq_palbert.checkpoints.export import export_hugging_face, export_model
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError


@pytest.fixture
def marker(tmp_path):
    """A file that code in a checkpoint would make."""
    yield tmp_path / "marker"
    assert not (tmp_path / "marker").exists()


@pytest.fixture(scope="module")
def sound(toy):
    return toy("RTE")[0]


@pytest.fixture
def altered(sound, tmp_path):
    """altered(change) saves the sound checkpoint after change(its content)."""

    def save(change):
        state = torch.load(sound, weights_only=True)
        change(state)
        torch.save(state, tmp_path / "altered.pt")
        return tmp_path / "altered.pt"

    return save


@pytest.fixture
def routes(toy, small_vocabulary, tmp_path):
    """Every way by which the checkpoint of a user is read, by name."""
    data = str(toy("RTE")[1])

    def resume(path):
        folder = tmp_path / "resumed"
        folder.mkdir()
        (folder / "checkpoint_last.pt").write_bytes(path.read_bytes())
        if training_state.resume(folder) == 0:
            raise UserError("nothing to resume from")

    return {
        "evaluate": lambda path: load_model(path, data, None),
        "export": lambda path: export_model(path, small_vocabulary, tmp_path / "model"),
        "export to transformers": lambda path: export_hugging_face(path, small_vocabulary, tmp_path / "theirs"),
        "convert": lambda path: convert(path, tmp_path / "converted", small_vocabulary),
        "resume": resume,
    }


ROUTES = ("evaluate", "export", "export to transformers", "convert", "resume")


def zeros_in_tensors(content: bytes) -> bytes:
    """4 KiB of zeros inside the largest tensor."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    part = max(archive.infolist(), key=lambda part: part.file_size)
    start = part.header_offset + len(part.FileHeader()) + 512
    return content[:start] + bytes(4096) + content[start + 4096:]


def deflated(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    return packed.getvalue()


DAMAGES = {
    "zeros in tensors": (zeros_in_tensors, "is damaged .wrong CRC"),
    "half of it": (lambda content: content[:len(content) // 2], "cannot be read as a checkpoint"),
    "nothing": (lambda content: b"", "cannot be read as a checkpoint"),
    "text": (lambda content: b"\xff\xfe Dear diary", "cannot be read as a checkpoint"),
    "compressed": (deflated, "its parts are compressed"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(sound, routes, tmp_path, damage, route, capsys):
    change, message = DAMAGES[damage]
    path = tmp_path / "damaged.pt"
    path.write_bytes(change(sound.read_bytes()))
    with pytest.raises(UserError) as error:
        routes[route](path)
    assert re.search(message, f"{error.value} {capsys.readouterr().err}")
