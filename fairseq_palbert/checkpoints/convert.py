"""``palbert convert``: pretrained encoders to checkpoints that fairseq starts from."""

import argparse
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..command import run
from ..errors import UserError
from ..families import Family
from ..files import check_replaceable, file_sha256, write_json, written_folder
from ..models.architectures import BARE
from ..models.palbert import PalbertConfig
from ..modules.pondering import POOLINGS
from ..tokenization import Vocabulary
from ..tokenization.dictionary_file import read_symbols
from ..tokenization.identity import Identity, identity_of
from .export import FORMS
from .export import main as export
from .formats.encoder_source import TOKENS, EncoderSource
from .formats.hugging_face import CONFIG_FILE, read_hugging_face
from .formats.names import ENCODER_FIELDS
from .formats.stock_roberta import ARCHIVES, MODEL_FILE, read_stock, unpacked
from .hub import fetch

CONVERSION_FILE = "conversion.json"
REMEDY = "give its own by --vocab"
DROPOUTS = ("dropout", "attention_dropout", "activation_dropout")


def convert(source: str | Path, out: str | Path, vocab: str | Path | None = None, overwrite: bool = False,
            pooling: str | None = None) -> dict[str, Any]:
    """Writes the folder ``out``, whole or not at all, and returns what its ``conversion.json`` says.

    ``source``: a Hugging Face folder or Hub id of RoBERTa, BERT, ALBERT or MPNet, or fairseq's own RoBERTa: its
    archive, packed or unpacked, or a checkpoint. ``vocab``: the folder of its vocabulary, by default the source's own,
    and for fairseq's RoBERTa, which brings none, $VOCAB_DIR. ``pooling``: "first" or "mean", which training follows; by
    default what the source says, as a folder of sentence-transformers does. ``out`` gets ``model.pt``, for
    ``--finetune-from-model``, and ``dict.txt`` and ``tokenizer.json``, for ``palbert data --vocab``.

    Raises UserError, by the first that is wrong, for a source that cannot be read or represented exactly, and for a
    vocabulary that does not fit it.
    """
    out = Path(out)
    check_replaceable(out, overwrite, CONVERSION_FILE)
    with _opened(str(source), vocab, pooling) as (found, vocabulary), written_folder(out) as folder:
        rows = len(found.weights[TOKENS])
        _check_vocabulary(found, vocabulary, rows)
        vocabulary.save(folder, rows)
        weights, saved = dict(found.weights), Vocabulary(folder)
        if found.native_rows:
            weights[TOKENS] = weights[TOKENS][torch.from_numpy(saved.native_ids)]
        state = _checkpoint(found, weights, identity_of(saved))
        _save(state, folder / MODEL_FILE)
        conversion = _account(str(source), found, vocabulary)
        write_json(folder / CONVERSION_FILE, conversion)
    return conversion


@contextmanager
def _opened(source: str, vocab: str | Path | None, pooling: str | None) -> Iterator[tuple[EncoderSource, Vocabulary]]:
    """The encoder and the vocabulary, for the time of the block: tensors may still lie in a file that goes with it."""
    path = Path(source)
    if path.is_file() and path.name.endswith(ARCHIVES):
        with unpacked(path) as folder:
            yield replace(read_stock(folder / MODEL_FILE, source, (path,)),
                          pooling=pooling), _stock_vocabulary(source, vocab)
    elif path.is_file() or (path / MODEL_FILE).is_file() and not (path / CONFIG_FILE).is_file():
        checkpoint = path if path.is_file() else path / MODEL_FILE
        yield replace(read_stock(checkpoint, source, (checkpoint,)), pooling=pooling), _stock_vocabulary(source, vocab)
    else:
        folder = path if path.is_dir() else fetch(source)
        yield read_hugging_face(folder, source, pooling), Vocabulary(vocab or folder)


def _stock_vocabulary(source: str, vocab: str | Path | None) -> Vocabulary:
    vocab = vocab or os.environ.get("VOCAB_DIR")
    if not vocab:
        raise UserError(f"{source} brings no vocabulary: name its folder by --vocab or $VOCAB_DIR; "
                        "`python -m preprocess.download --vocab --out DIR` fetches RoBERTa's")
    return Vocabulary(vocab)


def _check_vocabulary(found: EncoderSource, vocabulary: Vocabulary, rows: int) -> None:
    """Raises UserError where the rows of the token embedding are not those of the vocabulary."""
    if found.dictionary is not None:
        theirs, _ = read_symbols(found.dictionary)
        for place, (their, our) in enumerate(zip(theirs, vocabulary.symbols)):
            if their != our:
                raise UserError(f"{found.name}: line {place + 1} of its dict.txt is {their!r}, where the vocabulary "
                                f"has {our!r}; {REMEDY}")
        if len(theirs) != len(vocabulary.symbols):
            raise UserError(f"{found.name}: its dict.txt has {len(theirs)} lines, and the vocabulary "
                            f"{len(vocabulary.symbols)}; {REMEDY}")
    highest = vocabulary.native_ids.max() + 1 if found.native_rows else len(vocabulary)
    if rows < highest or not found.native_rows and rows > highest:
        raise UserError(f"{found.name}: embeds {rows} pieces, and the vocabulary has {highest}; {REMEDY}")


def _checkpoint(found: EncoderSource, weights: Mapping[str, Tensor], identity: Identity) -> dict[str, Any]:
    """What fairseq expects to find in a file that training starts from."""
    return {
        # copied, since torch would save the whole of the memory that a tensor is a part of
        "model": {name: tensor.clone() for name, tensor in weights.items()},
        "cfg": {"model": {"_name": f"palbert_{found.family.name}", **found.settings, **_pooling(found)},
                "task": {"_name": "glue"}},
        "task_state": {"tokenizer": identity.tokenizer, "dictionary": identity.dictionary},
        "args": None,
        "optimizer_history": [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {},
    }


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # torch's for a full disk
        raise OSError("the disk may be full") from error


def _pooling(found: EncoderSource) -> dict[str, str]:
    return {} if found.pooling is None else {"pooling": found.pooling}


def _account(source: str, found: EncoderSource, vocabulary: Vocabulary) -> dict[str, Any]:
    arch, flags = arch_and_flags(found.family, found.settings)
    return {
        "source": source,
        "sha256": {path.name: file_sha256(path) for path in found.files},
        "family": found.family.name,
        "arch": arch,
        "flags": [*flags, *(word for name, value in _pooling(found).items() for word in (f"--{name}", value))],
        "tokenizer": vocabulary.record,
        "tensors": {"used": found.used, "dropped": found.dropped, "initialised": found.initialised},
    }


def arch_and_flags(family: Family, settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The architecture, and the further flags of ``fairseq-train``, that build an encoder of these settings.

    A preset where its layers, sizes and arithmetic are the encoder's, and else the bare family.
    """
    fitting = (name for name, preset in family.presets.items() if not set(_differing(preset, settings)) - set(DROPOUTS))
    preset = min(fitting, key=lambda name: len(_differing(family.presets[name], settings)), default=None)
    arch = f"palbert_{family.name}" + (f"_{preset}" if preset else "")
    differing = _differing(family.presets[preset or BARE], settings)
    return arch, [word for name in differing for word in ("--" + name.replace("_", "-"), str(settings[name]))]


def _differing(preset: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """The settings that an architecture of this preset would have otherwise."""
    defaults = PalbertConfig()
    return [name for name in ENCODER_FIELDS.values() if settings[name] != preset.get(name, getattr(defaults, name))]


def _print(out: Path, conversion: Mapping[str, Any]) -> None:
    """A few lines: the architecture, and what became of every tensor."""
    tensors = conversion["tensors"]
    print(f"{conversion['source']}: {' '.join(['--arch', conversion['arch'], *conversion['flags']])}")
    print(f"tensors: {len(tensors['used'])} used; dropped: {', '.join(tensors['dropped']) or 'none'}; "
          f"to be initialised: {', '.join(tensors['initialised']) or 'none of encoder and pooler'}")
    print(f"{out}: start training by --finetune-from-model {out / MODEL_FILE}, on data of --vocab {out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palbert convert",
        description="Turn a pretrained encoder into a checkpoint that training starts from.",
        epilog="Example: palbert convert google-bert/bert-base-uncased --out bert writes bert/model.pt, for "
               "--finetune-from-model, and its vocabulary, for palbert data --vocab bert.")
    parser.add_argument("source", metavar="SOURCE",
                        help="a folder or Hub id of RoBERTa, BERT, ALBERT or MPNet in Hugging Face's layout, fairseq's "
                             "archive of RoBERTa, packed or unpacked, or a checkpoint of fairseq's RoBERTa")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--vocab", type=Path, metavar="DIR",
                        help="folder of the vocabulary (default: SOURCE's own, and for fairseq's RoBERTa $VOCAB_DIR)")
    parser.add_argument("--pooling", choices=POOLINGS,
                        help="what the heads are to read of a sentence: its first token, or the mean over its tokens "
                             "(default: what a folder of sentence-transformers says, else left to training)")
    parser.add_argument("--to", choices=["fairseq", *FORMS], default="fairseq",
                        help=f"{' and '.join(FORMS)} are those of palbert export, which this then is")
    parser.add_argument("--overwrite", action="store_true", help="replace DIR where this command made it before")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    if args.to in FORMS:
        return export(arguments)
    _print(args.out, convert(args.source, args.out, args.vocab, args.overwrite, args.pooling))


if __name__ == "__main__":
    run(main)
