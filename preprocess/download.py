"""``python -m preprocess.download``: download raw GLUE or SuperGLUE, RoBERTa's vocabulary or one file."""

import argparse
import shutil
import zipfile
import zlib
from pathlib import Path

from fairseq_palbert.command import run
from fairseq_palbert.definitions.definition import TaskDefinition
from fairseq_palbert.definitions.packaged import packaged_task, task_names
from fairseq_palbert.errors import UserError
from fairseq_palbert.files import replacing

from .sources import SOURCES, VOCABULARY_SOURCES, address
from .transfer import download

__all__ = ["download", "download_task", "download_vocabulary"]


def download_task(task: TaskDefinition, raw: str | Path) -> Path:
    """Downloads the raw files of ``task`` to ``raw``/``task.folder`` and returns that folder; existing files stay.

    MRPC is the three MSR originals, AX one TSV, any other task a zip of which only the splits are kept. Raises
    UserError for a task without a public download, and as ``download`` does.
    """
    if task.benchmark is None:
        raise UserError(f"{task.name} has no public download: choose from {', '.join(_downloads())}")
    folder = Path(raw) / task.folder
    for source in SOURCES[task.benchmark][task.name]:
        url = address(source, task.benchmark)
        if not source.file.endswith(".zip"):
            download(url, folder / source.file, source.size, source.sha256)
        elif missing := [split.source.file for split in task.splits if not (folder / split.source.file).exists()]:
            archive = download(url, folder / source.file, source.size, source.sha256)
            extract(archive, missing, folder)
            archive.unlink()
    return folder


def _downloads() -> list[str]:
    return [name for sources in SOURCES.values() for name in sources]


def download_vocabulary(folder: str | Path) -> Path:
    """Downloads RoBERTa's three vocabulary files to ``folder``/gpt2_bpe and returns that folder."""
    target = Path(folder) / "gpt2_bpe"
    for source in VOCABULARY_SOURCES:
        download(source.url, target / source.file, source.size, source.sha256)
    return target


def extract(archive: Path, files: list[str], folder: Path) -> None:
    """Writes the members TASK/file of a task's zip to ``folder``/file, each complete or not at all.

    Members are chosen by their file name and written under the names in ``files``: paths inside the archive are never
    followed. Copies in deeper folders (``original/``, ``__MACOSX/``) are ignored. Raises UserError for a zip that is
    damaged, or does not have each file once.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if info.filename.count("/") <= 1]
            for file in files:
                named = [info for info in members if info.filename.rsplit("/", 1)[-1] == file]
                if len(named) != 1:
                    raise UserError(f"{archive} has {len(named)} files {file} instead of one: remove it and try again")
                with replacing(folder / file) as part, opened.open(named[0]) as source, open(part, "wb") as target:
                    shutil.copyfileobj(source, target)
    # all that zipfile raises for a file that is broken, encrypted or compressed in a way it does not know
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{archive} is no readable zip file ({error}): remove it and try again") from error
    except OSError as error:
        raise UserError(f"cannot extract {archive}: {error.strerror or error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m preprocess.download",
        description="Download raw GLUE and SuperGLUE tasks, RoBERTa's vocabulary, or one file of any address. An "
                    "interrupted download resumes where it ended. Sizes and SHA-256 are verified where they are known. "
                    "A file appears only when it is complete. $GLUE_URL and $SUPERGLUE_URL name a mirror.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--task", action="append", metavar="NAME",
                        help=f"a task, to its folder in OUT, may be repeated: {', '.join(_downloads())}; GLUE (or all) "
                             "or SuperGLUE for all tasks of the benchmark")
    source.add_argument("--vocab", action="store_true", help="RoBERTa's three vocabulary files, to OUT/gpt2_bpe")
    source.add_argument("--url", help="address of one file, to OUT")
    parser.add_argument("--out", required=True, metavar="PATH", help="folder (with --url: file) to write to")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    if args.url:
        print(download(args.url, args.out))
    elif args.vocab:
        print(download_vocabulary(args.out))
    else:
        names = dict.fromkeys(name for given in args.task for name in task_names(given))
        for task in [packaged_task(name) for name in names]:
            print(download_task(task, args.out))


if __name__ == "__main__":
    run(main)
