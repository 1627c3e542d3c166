"""Tables as aligned text and as Markdown."""


def aligned(table: list[list[str]]) -> str:
    """The first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = []
    for first, *others in table:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:]))]
        lines.append("  ".join(cells))
    return "\n".join(lines)


def markdown(table: list[list[str]], words: int = 2) -> str:
    """The first line is the header; after the first ``words`` columns numbers stand to the right."""
    rule = ["---"] * words + ["---:"] * (len(table[0]) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (table[0], rule, *table[1:]))
