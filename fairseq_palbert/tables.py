"""Tables as aligned text and as Markdown."""

from tabulate import tabulate


def aligned(table: list[list[str]]) -> str:
    """The first column to the left, the others to the right."""
    sides = ["left"] + ["right"] * (len(table[0]) - 1)
    return tabulate(table, tablefmt="plain", disable_numparse=True, colalign=sides)


def markdown(table: list[list[str]], words: int = 2) -> str:
    """The first line is the header; after the first ``words`` columns numbers stand to the right.

    Cells are not padded, as ``tabulate`` would, so that another number changes its own line alone.
    """
    rule = ["---"] * words + ["---:"] * (len(table[0]) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (table[0], rule, *table[1:]))
