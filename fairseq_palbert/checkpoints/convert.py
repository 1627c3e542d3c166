"""``palbert convert``: convert a pretrained encoder to a checkpoint for training."""

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
from ..tokenization.special_tokens import FILLER
from .export import FORMS
from .export import main as export
from .formats.encoder_flags import encoder_flags
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
    """Writes the folder ``out``, complete or not at all, and returns the content of its ``conversion.json``.

    ``source`` is a Hugging Face folder or Hub id of RoBERTa, BERT, ALBERT or MPNet, or fairseq's RoBERTa: its archive,
    packed or unpacked, or a checkpoint. ``vocab`` is the folder of its vocabulary. The default is the source's own, or
    $VOCAB_DIR for fairseq's RoBERTa, which has none. ``pooling`` is "first" or "mean", for training to follow. The
    default is the source's, which a folder of sentence-transformers names. ``out`` holds ``model.pt``, for
    ``--finetune-from-model``, and ``dict.txt`` and ``tokenizer.json``, for ``palbert data --vocab``.

    Raises UserError at the first fault: a source that cannot be read or represented exactly, or a vocabulary that does
    not fit it.
    """
    out = Path(out)
    check_replaceable(out, overwrite, CONVERSION_FILE)
    with _opened(str(source), vocab, pooling) as (encoder, vocabulary), written_folder(out) as folder:
        rows = len(encoder.weights[TOKENS])
        _check_vocabulary(encoder, vocabulary, rows)
        vocabulary.save(folder, rows)
        weights, saved = dict(encoder.weights), Vocabulary(folder)
        if encoder.native_rows:
            weights[TOKENS] = weights[TOKENS][torch.from_numpy(saved.native_ids)]
        state = _checkpoint(encoder, weights, identity_of(saved))
        _save(state, folder / MODEL_FILE)
        conversion = _conversion_record(str(source), encoder, vocabulary)
        write_json(folder / CONVERSION_FILE, conversion)
    return conversion


@contextmanager
def _opened(source: str, vocab: str | Path | None, pooling: str | None) -> Iterator[tuple[EncoderSource, Vocabulary]]:
    """Yields the encoder and the vocabulary; tensors may lie in a temporary file that is removed after the block."""
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
        yield read_hugging_face(folder, source, pooling), _own_vocabulary(folder, vocab)


def _own_vocabulary(folder: Path, vocab: str | Path | None) -> Vocabulary:
    """The folder's vocabulary, or ``vocab``, whose pieces have to be the same where the folder has one too."""
    if vocab is None:
        return Vocabulary(folder)
    given = Vocabulary(vocab)
    try:
        own = Vocabulary(folder)
    except UserError:  # it has none that can be read, so that --vocab is needed
        return given
    pieces, others = ({row: piece for row, piece in zip(vocabulary.native_ids.tolist(), vocabulary.pieces)
                       if not FILLER.fullmatch(piece)} for vocabulary in (own, given))
    for row in pieces.keys() & others.keys():
        if pieces[row] != others[row]:
            raise UserError(f"--vocab {vocab}: its piece {row} is {others[row]!r}, and that of {folder} "
                            f"{pieces[row]!r}: leave --vocab out")
    return given


def _stock_vocabulary(source: str, vocab: str | Path | None) -> Vocabulary:
    vocab = vocab or os.environ.get("VOCAB_DIR")
    if not vocab:
        raise UserError(f"{source} brings no vocabulary: name its folder by --vocab or $VOCAB_DIR; "
                        "`python -m preprocess.download --vocab --out DIR` fetches RoBERTa's")
    return Vocabulary(vocab)


def _check_vocabulary(encoder: EncoderSource, vocabulary: Vocabulary, rows: int) -> None:
    """Raises UserError where the rows of the token embedding are not those of the vocabulary."""
    if encoder.dictionary is not None:
        symbols, _ = read_symbols(encoder.dictionary)
        for place, (symbol, expected) in enumerate(zip(symbols, vocabulary.symbols)):
            if symbol != expected:
                raise UserError(f"{encoder.name}: line {place + 1} of its dict.txt is {symbol!r}, where the vocabulary "
                                f"has {expected!r}; {REMEDY}")
        if len(symbols) != len(vocabulary.symbols):
            raise UserError(f"{encoder.name}: its dict.txt has {len(symbols)} lines, and the vocabulary "
                            f"{len(vocabulary.symbols)}; {REMEDY}")
    highest = vocabulary.native_ids.max() + 1 if encoder.native_rows else len(vocabulary)
    if rows < highest or not encoder.native_rows and rows > highest:
        raise UserError(f"{encoder.name}: embeds {rows} pieces, and the vocabulary has {highest}; {REMEDY}")


def _checkpoint(encoder: EncoderSource, weights: Mapping[str, Tensor], identity: Identity) -> dict[str, Any]:
    """The content of a checkpoint that fairseq can start training from."""
    return {
        # copied, since torch saves the whole storage that a tensor is a view of
        "model": {name: tensor.clone() for name, tensor in weights.items()},
        "cfg": {"model": {"_name": f"palbert_{encoder.family.name}", **encoder.settings, **_pooling(encoder)},
                "task": {"_name": "glue"}},
        "task_state": {"tokenizer": identity.tokenizer, "dictionary": identity.dictionary},
        "args": None,
        "optimizer_history": [{"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}],
        "extra_state": {},
    }


def _save(state: dict[str, Any], path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:  # what torch raises for a full disk
        raise OSError("the disk may be full") from error


def _pooling(encoder: EncoderSource) -> dict[str, str]:
    return {} if encoder.pooling is None else {"pooling": encoder.pooling}


def _conversion_record(source: str, encoder: EncoderSource, vocabulary: Vocabulary) -> dict[str, Any]:
    arch, flags = arch_and_flags(encoder.family, encoder.settings)
    return {
        "source": source,
        "sha256": {path.name: file_sha256(path) for path in encoder.files},
        "family": encoder.family.name,
        "arch": arch,
        "flags": [*flags, *(word for name, value in _pooling(encoder).items() for word in (f"--{name}", value))],
        "tokenizer": vocabulary.record,
        "tensors": {"used": encoder.used, "dropped": encoder.dropped, "initialised": encoder.initialised},
    }


def arch_and_flags(family: Family, settings: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The architecture and the additional flags of ``fairseq-train`` that build an encoder with these settings.

    The architecture is a preset that differs from the settings in dropout at most, otherwise the bare family.
    """
    fitting = (name for name, preset in family.presets.items() if not set(_differing(preset, settings)) - set(DROPOUTS))
    preset = min(fitting, key=lambda name: len(_differing(family.presets[name], settings)), default=None)
    arch = f"palbert_{family.name}" + (f"_{preset}" if preset else "")
    differing = _differing(family.presets[preset or BARE], settings)
    return arch, list(encoder_flags(arch, {name: settings[name] for name in differing}))


def _differing(preset: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """The names of the settings in which an architecture of this preset differs."""
    defaults = PalbertConfig()
    return [name for name in ENCODER_FIELDS.values() if settings[name] != preset.get(name, getattr(defaults, name))]


def _print(out: Path, conversion: Mapping[str, Any]) -> None:
    """Prints the architecture, and what happened to every tensor."""
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
                        help="what the heads read of a sentence: its first token, or the mean over its tokens "
                             "(default: what a folder of sentence-transformers says, otherwise training decides)")
    parser.add_argument("--to", choices=["fairseq", *FORMS], default="fairseq",
                        help=f"{' and '.join(FORMS)}: export SOURCE, a checkpoint, as palbert export does (default: "
                             "fairseq)")
    parser.add_argument("--overwrite", action="store_true", help="replace DIR where this command made it before")
    return parser


def main(arguments: list[str] | None = None) -> None:
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.to in FORMS:
        if args.pooling:
            parser.error(f"--pooling is for training, and --to {args.to} exports what was trained")
        return export(arguments)
    _print(args.out, convert(args.source, args.out, args.vocab, args.overwrite, args.pooling))


if __name__ == "__main__":
    run(main)
