"""The special tokens of every dictionary here, which are fairseq's."""

FIRST = ("<s>", "<pad>", "</s>", "<unk>")
BEGIN, PADDING, END, UNKNOWN = range(len(FIRST))  # their entries
MASK = "<mask>"  # the last entry


def with_special_tokens(symbols: list[str]) -> list[str]:
    """All entries of the dictionary whose dict.txt has these words."""
    return [*FIRST, *symbols, MASK]
