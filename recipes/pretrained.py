"""What a recipe has to know of a checkpoint that is ready to start training from.

    python recipes/pretrained.py SOURCE

Prints, one a line: the architecture, the file for --finetune-from-model, the folder of its vocabulary (empty where it
cannot be told), and the flags that build its encoder. SOURCE is a folder of fairseq_palbert.checkpoints.convert, or a checkpoint
of this plugin. Prints nothing for anything else, which is to be converted first.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

CONVERSION = "conversion.json"
MODEL = "model.pt"
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Pretrained:
    arch: str
    checkpoint: Path
    vocabulary: Path | None
    flags: list[str]


def describe(source: Path) -> Pretrained | None:
    """None where ``source`` is neither a converted checkpoint nor one of this plugin."""
    if (source / CONVERSION).is_file():
        conversion = json.loads((source / CONVERSION).read_text())
        return Pretrained(conversion["arch"], source / MODEL, source, conversion["flags"])
    configuration = _configuration(source) if source.is_file() else None
    if configuration is None:
        return None
    return Pretrained(configuration["model"]["_name"], source, _vocabulary(source), encoder_flags(configuration["model"]))


def encoder_flags(settings: dict) -> list[str]:
    """The flags that build the encoder of a checkpoint's model settings; how it is trained, as dropout, is left open."""
    flags = []
    for name, value in settings.items():
        if (name.startswith("encoder_") or name == "activation_fn") and value is not None:
            flags += ["--" + name.replace("_", "-"), str(value)]
    return flags


def _configuration(path: Path) -> dict | None:
    """The configuration that the plugin's checkpoint holds, or None for another file."""
    from recipes.checkpoints import read  # torch takes its second, and a converted folder needs none

    configuration = (read(path) or {}).get("cfg") or {}
    return configuration if str(configuration.get("model", {}).get("_name")).startswith("palbert_") else None


def _vocabulary(path: Path) -> Path | None:
    """Where the vocabulary of a checkpoint stands: beside it, or beside the one that its training started from."""
    if (path.parent / TOKENIZER).is_file():
        return path.parent
    configuration = _configuration(path) if path.is_file() else None
    started_from = configuration and configuration.get("checkpoint", {}).get("finetune_from_model")
    return _vocabulary(Path(started_from)) if started_from else None


def main() -> None:
    found = describe(Path(sys.argv[1]).resolve())
    if found:
        print(found.arch, found.checkpoint, found.vocabulary or "", *found.flags, sep="\n")


if __name__ == "__main__":
    main()
