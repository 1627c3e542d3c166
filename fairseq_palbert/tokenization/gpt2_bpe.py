"""RoBERTa's byte-level BPE, from fairseq's files or the Hub's.

dict.txt names each piece by its GPT-2 number. The numbers count the 256 bytes first, in the order of the characters
that stand for them, then the merges in order, then <|endoftext|>. So they follow from the Hub's files, which lack them.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from ..errors import UserError
from ..files import read_text
from ..json_files import read_json
from .dictionary_file import read_symbols
from .library_errors import refused
from .native import Native, check_dense
from .special_tokens import FILLER, FIRST, MASK, with_special_tokens

NAME = "gpt2_bpe"
SEPARATORS = 2
FILES = ("encoder.json", "vocab.bpe", "dict.txt")
END_OF_TEXT = "<|endoftext|>"
REMEDY = "give RoBERTa's own file"


def read_fairseq(folder: Path) -> Native:
    """Reads ``encoder.json``, ``vocab.bpe`` and ``dict.txt``.

    Raises UserError for a file that is damaged or of another kind, and for one that lacks pieces of another.
    """
    dictionary, encoder, merges = folder / "dict.txt", folder / "encoder.json", folder / "vocab.bpe"
    symbols, text = read_symbols(dictionary)
    piece_of = {str(number): piece for piece, number in _numbers(encoder).items()}
    if lacking := piece_of.keys() - set(symbols):
        raise UserError(f"{dictionary} lacks {len(lacking)} of the {len(piece_of)} pieces of {encoder.name}: give the "
                        "one that belongs to it")
    ids = {piece_of.get(symbol, symbol): entry for entry, symbol in enumerate(with_special_tokens(symbols))}
    # without the first line, which names the version, and without text after the last line end, as in fairseq
    pairs = [tuple(line.split()) for line in read_text(merges, REMEDY).split("\n")[1:-1]]
    with refused(f"{encoder} and {merges.name} are no byte-level BPE"):
        tokenizer = Tokenizer(BPE(vocab=ids, merges=pairs))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return replace(of_tokenizer(tokenizer, str(merges)), symbols=symbols, dictionary_text=text)


def _numbers(path: Path) -> dict[str, int]:
    """The content of encoder.json: the GPT-2 number of each piece."""
    numbers = read_json(path, REMEDY)
    if set(map(type, numbers.values())) != {int}:
        raise UserError(f"{path} is no byte-level BPE: it should hold a number for each piece")
    check_dense(numbers, str(path))
    return numbers


def read_hub(folder: Path, settings: dict[str, Any]) -> Native:
    """Reads ``vocab.json`` and ``merges.txt`` with the ``settings`` of tokenizer_config.json.

    This is ``add_prefix_space`` (default false). Raises UserError for files that are not RoBERTa's.
    """
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    with refused(f"{vocab} and {merges.name} are no byte-level BPE"):
        tokenizer = Tokenizer(BPE.from_file(str(vocab), str(merges)))
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=settings.get("add_prefix_space", False))
    return of_tokenizer(tokenizer, str(vocab))


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    """Takes a tokenizer with the Hub's ids of RoBERTa, which equal the entries of fairseq's dictionary.

    Raises UserError where <s>, <pad>, </s> and <unk> are not the first pieces, or <mask> is not the last, where a byte
    has no piece, and for a piece that no merge makes.
    """
    ids = tokenizer.get_vocab(with_added_tokens=True)
    pieces = sorted(ids, key=ids.get)
    if tuple(pieces[:len(FIRST)]) != FIRST or pieces[-1] != MASK:
        raise UserError(f"{where} is not RoBERTa's: its pieces must begin with {' '.join(FIRST)} and end with {MASK}")
    check_dense(ids, where)
    if lacking := set(ByteLevel.alphabet()) - ids.keys():
        raise UserError(f"{where} is no byte-level BPE: it has no piece for {len(lacking)} of the 256 bytes")
    numbers = _gpt2_numbers(tokenizer)
    own = pieces[len(FIRST):-1]
    if unmade := [piece for piece in own if piece not in numbers and not FILLER.fullmatch(piece)]:
        raise UserError(f"{where} is damaged: no merge makes {len(unmade)} of the pieces, such as {unmade[0]}")
    return Native(NAME, tokenizer, [str(numbers.get(piece, piece)) for piece in own], list(range(len(pieces))),
                  SEPARATORS)


def _gpt2_numbers(tokenizer: Tokenizer) -> dict[str, int]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    joined = ["".join(merge) if isinstance(merge, list) else merge.replace(" ", "") for merge in merges]
    return {piece: number for number, piece in enumerate([*sorted(ByteLevel.alphabet()), *joined, END_OF_TEXT])}
