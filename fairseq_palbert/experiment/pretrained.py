"""Find, convert once and describe the checkpoint that training starts from.

    python -m fairseq_palbert.experiment.pretrained [SOURCE] [--arch ARCH] [--pretrained-dir DIR] [--vocab-dir DIR]

prints one a line: the architecture, the file for --finetune-from-model, the folder of its vocabulary (both empty for a
start from scratch), and the flags that build its encoder.
"""

import argparse
import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from .. import command
from ..errors import UserError
from ..families import ARCHITECTURES, FAMILIES, family_of
from ..json_files import read_json
from . import launch
from .log import log

CONVERSION = "conversion.json"
MODEL = "model.pt"
TOKENIZER = "tokenizer.json"
USUAL_ARCH = "palbert_roberta_tiny"
FAIRSEQ_MODELS = "https://dl.fbaipublicfiles.com/fairseq/models"
USUAL_CHECKPOINTS = {
    "palbert_roberta_base": f"{FAIRSEQ_MODELS}/roberta.base.tar.gz",
    "palbert_roberta_large": f"{FAIRSEQ_MODELS}/roberta.large.tar.gz",
    "palbert_bert_base": "google-bert/bert-base-uncased", "palbert_bert_large": "google-bert/bert-large-uncased",
    "palbert_bert_minilm_l6": "sentence-transformers/all-MiniLM-L6-v2",
    "palbert_mpnet_base": "sentence-transformers/all-mpnet-base-v2",
    **{f"palbert_albert_{size}{version}": f"albert/albert-{size}-{version.strip('_') or 'v2'}"
       for size in ("base", "large", "xlarge", "xxlarge") for version in ("", "_v1")},
}
VOCABULARY_FOLDERS = {"roberta": "gpt2_bpe"}  # in vocab_dir; those of other families are named as the family
HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?(?<!\.pt)(?<!\.bin)(?<!\.gz)(?<!\.safetensors)")


@dataclass(frozen=True)
class Start:
    """What training starts from.

    ``checkpoint`` and ``vocabulary`` are None for a start from scratch; ``vocabulary`` also where it is unknown.
    """

    arch: str
    checkpoint: Path | None = None
    vocabulary: Path | None = None
    flags: tuple[str, ...] = ()

    @property
    def layers(self) -> int:
        flags = dict(zip(self.flags[::2], self.flags[1::2], strict=True))
        return int(flags.get("--encoder-layers") or _preset(self.arch)["encoder_layers"])


def check_source(source: str | None) -> None:
    """Raises UserError unless it is a file, a folder, an address, a Hub id, none, or None."""
    if source and not Path(source).exists() and "://" not in source and not HUB_ID.fullmatch(source):
        raise UserError(f"pretrained={source} is no file, no folder and no Hub id (nor none, to start from scratch)")


def check_arch(arch: str) -> None:
    if _preset(arch) is None:
        presets = (f"palbert_{name}_{preset}" for name, family in FAMILIES.items() for preset in family.presets)
        raise UserError(f"arch={arch}: choose from {', '.join(presets)}")


def _preset(arch: str) -> dict | None:
    name, _, preset = arch.removeprefix("palbert_").partition("_")
    return FAMILIES[name].presets.get(preset or "base") if arch.startswith("palbert_") and name in FAMILIES else None


def usual_checkpoint(arch: str) -> str:
    """The checkpoint of an architecture where the user names none: an address, a Hub id, or none."""
    if arch.endswith("_tiny"):
        return "none"
    return USUAL_CHECKPOINTS[arch if arch in USUAL_CHECKPOINTS else arch + "_base"]


def find_start(source: str | None, arch: str | None, pretrained_dir: Path, vocab_dir: str | None,
               may_convert: bool = True) -> Start:
    """The start from a source, converted where necessary, or from the usual checkpoint of ``arch``.

    Raises UserError where the source's encoder is of another family than ``arch``, or has to be converted and may not
    be.
    """
    check_source(source)
    if arch:
        check_arch(arch)
    if source in (None, "none"):
        arch = arch or USUAL_ARCH
        source = source or usual_checkpoint(arch)
    if source == "none":
        return Start(arch)
    start = describe(Path(source))
    if start is None:
        folder = converted_folder(source, pretrained_dir)
        if not folder.is_dir():
            if not may_convert:
                raise UserError(f"{source} has not been converted yet: run stage 1 first")
            convert(source, folder, vocab_dir)
        start = describe(folder)
    if arch in (None, start.arch):
        return start
    if family_of(arch) is not family_of(start.arch):
        raise UserError(f"arch={arch} does not go with {source}, which is a {start.arch}: leave arch out, "
                        "or choose another pretrained")
    return Start(arch, start.checkpoint, start.vocabulary)  # training refuses a checkpoint that does not fit arch


def converted_folder(source: str, pretrained_dir: Path) -> Path:
    """The folder of a source's conversion.

    Its name has a hash of the source's path and of its files' names, sizes and times. So it is unique to the source and
    its content.
    """
    identity, path = source, Path(source)
    if path.exists():
        files = [path] if path.is_file() else filter(Path.is_file, path.iterdir())
        stats = {file.name: file.stat() for file in files}
        described = sorted(f"{name} {stat.st_size} {_seconds(stat.st_mtime_ns)}" for name, stat in stats.items())
        identity = f"{path.resolve()} " + "\n".join(described)
    name = path.name.removesuffix(".gz").removesuffix(".tar").removesuffix(".pt")
    return pretrained_dir.absolute() / f"{name}-{hashlib.sha256((identity + chr(10)).encode()).hexdigest()[:12]}"


def _seconds(nanoseconds: int) -> str:
    """A time as ``find -printf %T@`` writes it."""
    return f"{nanoseconds // 10 ** 9}.{nanoseconds % 10 ** 9:09d}0"


def convert(source: str, folder: Path, vocab_dir: str | None) -> None:
    """Convert a source; a lock admits one process at a time.

    An address is downloaded first. RoBERTa's vocabulary is downloaded for fairseq's archives, which have none.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to pretrained_dir={folder.parent} ({error.strerror})") from error
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return
        log(f"stage 1, converting {source} to {folder}")
        downloads, vocabulary = Path(f"{folder}.download"), []
        path = Path(source).absolute() if Path(source).exists() else Path(source)  # a name may begin with a dash
        if "://" in source:
            path = downloads / Path(source).name
            launch.run(launch.python("preprocess.download", "--url", source, "--out", path), stdout=launch.STDERR)
        if not vocab_dir and (path.is_file() or (path / MODEL).is_file() and not (path / "config.json").is_file()):
            vocabulary = ["--vocab", downloads]
            launch.run(launch.python("preprocess.download", "--vocab", "--out", downloads), stdout=launch.STDERR)
        command = launch.python("fairseq_palbert.checkpoints.convert", path, "--out", folder, *vocabulary)
        launch.run(command, {"VOCAB_DIR": vocab_dir} if vocab_dir else {}, stdout=launch.STDERR)
        shutil.rmtree(downloads, ignore_errors=True)


def describe(source: Path) -> Start | None:
    """The start from a converted checkpoint or one of this plugin; None for another source.

    Its flags are made anew of checked settings. Raises UserError for a setting that is no encoder's.
    """
    from ..checkpoints.formats.encoder_flags import encoder_flags, settings_of  # imports torch, which is slow

    source = source.resolve()
    if (source / CONVERSION).is_file():
        about = source / CONVERSION
        conversion = read_json(about, "convert the encoder again")
        arch = str(conversion.get("arch"))
        if arch not in ARCHITECTURES:
            raise UserError(f"{about}: arch is {arch!r:.60}: choose a folder of palbert convert")
        flags = encoder_flags(str(about), settings_of(str(about), conversion.get("flags")))
        return Start(arch, source / MODEL, source, flags)
    parts = _configuration(source)
    if parts is None:
        return None
    settings = {name: value for name, value in parts["model"].items()
                if name.startswith("encoder_") or name == "activation_fn"}
    return Start(parts["model"]["_name"], source, _vocabulary(source), encoder_flags(str(source), settings))


def _configuration(path: Path) -> dict[str, dict[str, Any]] | None:
    """The configuration in a checkpoint of this plugin, by part and name; None for another file."""
    from ..checkpoints.formats.checkpoint_file import read_checkpoint  # imports torch, which is slow

    if not path.is_file():
        return None
    try:
        parts = read_checkpoint(path)["cfg"]
    except UserError:  # as for a foreign archive, which conversion reads, or refuses with the reason
        return None
    return parts if str(parts.get("model", {}).get("_name")) in ARCHITECTURES else None


def _vocabulary(path: Path) -> Path | None:
    """The folder of a checkpoint's vocabulary: its own, or that of the checkpoint its training started from."""
    visited = set()
    while path not in visited:
        if (path.parent / TOKENIZER).is_file():
            return path.parent
        visited.add(path)
        started_from = (_configuration(path) or {}).get("checkpoint", {}).get("finetune_from_model")
        path = Path(str(started_from or path))
    return None


def find_vocabulary(start: Start, vocab_dir: str | None, download: Callable[[], Path]) -> Path:
    """The start's vocabulary, else the family's in ``vocab_dir``, else RoBERTa's by ``download``.

    Raises UserError where there is none.
    """
    if start.vocabulary:
        return start.vocabulary
    family = family_of(start.arch).name
    if vocab_dir:
        folder = Path(vocab_dir).absolute() / VOCABULARY_FOLDERS.get(family, family)
        return folder if folder.is_dir() else folder.parent
    if family == "roberta":
        return download()
    raise UserError(f"arch={start.arch} needs a vocabulary: name its folder in vocab_dir, or in pretrained a "
                    "checkpoint that brings one")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fairseq_palbert.experiment.pretrained",
                                     description="Finds, converts once and describes a pretrained checkpoint.")
    parser.add_argument("source", nargs="?", help="default: the usual public checkpoint of --arch")
    parser.add_argument("--arch")
    parser.add_argument("--pretrained-dir", type=Path, default=Path("runs/pretrained"))
    parser.add_argument("--vocab-dir")
    options = parser.parse_args(argv)
    start = find_start(options.source or None, options.arch or None, options.pretrained_dir, options.vocab_dir or None)
    print(start.arch, start.checkpoint or "", start.vocabulary or "", *start.flags, sep="\n")


if __name__ == "__main__":
    command.run(main)
