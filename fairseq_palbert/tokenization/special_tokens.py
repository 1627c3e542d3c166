"""Special tokens of fairseq's dictionary, which every vocabulary here uses."""

FIRST = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PADDING, END, UNKNOWN = range(len(FIRST))  # ids of FIRST in the dictionary
MASK = "<mask>"  # the last entry


def with_special_tokens(symbols: list[str]) -> list[str]:
    """All entries of the dictionary whose dict.txt lists ``symbols``."""
    return [*FIRST, *symbols, MASK]
