"""Special tokens of fairseq's dictionary, which every vocabulary here uses."""

import re

FIRST = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PADDING, END, UNKNOWN = range(len(FIRST))  # ids of FIRST in the dictionary
MASK = "<mask>"  # the last entry
FILLER = re.compile(r"madeupword\d{4,}")  # fairseq's symbol for a row of the embedding without a piece


def with_special_tokens(symbols: list[str]) -> list[str]:
    """All entries of the dictionary whose dict.txt lists ``symbols``."""
    return [*FIRST, *symbols, MASK]
