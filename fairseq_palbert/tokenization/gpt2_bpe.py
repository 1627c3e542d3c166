"""RoBERTa's byte-level BPE, from fairseq's files or the Hub's.

dict.txt names each piece by its GPT-2 number. The numbers count the 256 bytes first, in the order of the characters
that stand for them, then the merges in order, then <|endoftext|>. So they follow from the Hub's files, which lack them.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from ..errors import UserError
from .dictionary_file import read_symbols
from .native import Native
from .special_tokens import FIRST, MASK, with_special_tokens

NAME = "gpt2_bpe"
SEPARATORS = 2
FILES = ("encoder.json", "vocab.bpe", "dict.txt")
END_OF_TEXT = "<|endoftext|>"


def read_fairseq(folder: Path) -> Native:
    """Reads ``encoder.json``, ``vocab.bpe`` and ``dict.txt``.

    A piece that dict.txt lacks gets an id beyond the last entry, and becomes <unk>. Raises UserError for a file that is
    damaged or of another kind.
    """
    symbols, text = read_symbols(folder / "dict.txt")
    encoder, merges = folder / "encoder.json", folder / "vocab.bpe"
    try:
        numbers = json.loads(encoder.read_text(encoding="utf-8"))
        missing = [symbol for symbol in ByteLevel.alphabet() if symbol not in numbers]
        if missing:
            raise UserError(f"{encoder} is no byte-level BPE: it has no piece for {len(missing)} of the 256 bytes")
        entries = {symbol: place for place, symbol in enumerate(with_special_tokens(symbols))}
        piece_of = {str(number): piece for piece, number in numbers.items()}
        if not piece_of.keys() & entries.keys():
            raise UserError(f"{folder / 'dict.txt'} names no piece of encoder.json: give the one that belongs to it")
        ids = {piece_of.get(symbol, symbol): entry for symbol, entry in entries.items()}
        ids |= {piece: len(entries) + number for piece, number in numbers.items() if piece not in ids}
        # without the first line, which names the version, and without text after the last line end, as in fairseq
        pairs = [tuple(line.split()) for line in merges.read_text(encoding="utf-8").split("\n")[1:-1]]
        tokenizer = Tokenizer(BPE(vocab=ids, merges=pairs))
    except UserError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"{encoder} and {merges.name} are no byte-level BPE: {error}") from error
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return Native(NAME, tokenizer, symbols, list(range(len(entries))), SEPARATORS, text)


def read_hub(folder: Path) -> Native:
    """Reads ``vocab.json`` and ``merges.txt``. Raises UserError for files that are not RoBERTa's."""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    try:
        tokenizer = Tokenizer(BPE.from_file(str(vocab), str(merges)))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"{vocab} and {merges.name} are no byte-level BPE: {error}") from error
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return of_tokenizer(tokenizer, str(vocab))


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    """Takes a tokenizer with the Hub's ids of RoBERTa, which equal the entries of fairseq's dictionary.

    Raises UserError where <s>, <pad>, </s> and <unk> are not the first pieces, or <mask> is not the last.
    """
    ids = tokenizer.get_vocab(with_added_tokens=True)
    pieces = sorted(ids, key=ids.get)
    if tuple(pieces[:len(FIRST)]) != FIRST or pieces[-1] != MASK or ids[MASK] != len(pieces) - 1:
        raise UserError(f"{where} is not RoBERTa's: its pieces must begin with {' '.join(FIRST)} and end with {MASK}")
    numbers = _gpt2_numbers(tokenizer)
    symbols = [str(numbers.get(piece, piece)) for piece in pieces[len(FIRST):-1]]
    return Native(NAME, tokenizer, symbols, list(range(len(pieces))), SEPARATORS)


def _gpt2_numbers(tokenizer: Tokenizer) -> dict[str, int]:
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    joined = ["".join(merge) if isinstance(merge, list) else merge.replace(" ", "") for merge in merges]
    return {piece: number for number, piece in enumerate([*sorted(ByteLevel.alphabet()), *joined, END_OF_TEXT])}
