"""Read and write fairseq's dict.txt without fairseq: one "WORD COUNT" a line."""

import re
from pathlib import Path

from ..errors import UserError
from ..files import read_text
from .special_tokens import FIRST, MASK

SPECIAL = (*FIRST, MASK)  # every dictionary has these already


def read_symbols(path: Path) -> tuple[list[str], str]:
    """The words in order, and the file's whole text. Raises UserError for a file that fairseq would not read."""
    text = read_text(path, "give the one that belongs to the vocabulary")
    symbols: dict[str, None] = {}
    for number, line in enumerate(re.split(r"\r?\n", text.removesuffix("\n")) if text else [], start=1):
        symbol, _, count = line.rstrip().removesuffix(" #fairseq:overwrite").rpartition(" ")
        if not (symbol and count.isascii() and count.isdecimal()):
            raise UserError(f"{path} is no fairseq dictionary: line {number} is not a word and its count")
        if symbol in symbols or symbol in SPECIAL:
            raise UserError(f"{path} is no fairseq dictionary: line {number} has {symbol} a second time")
        symbols[symbol] = None
    return list(symbols), text


def formatted(symbols: list[str]) -> str:
    """The lines of a dict.txt with these words, each with count 1."""
    return "".join(f"{symbol} 1\n" for symbol in symbols)
