"""Tables as aligned text and as Markdown, and any text as they show it unchanged."""

import re

from tabulate import tabulate


def aligned(table: list[list[str]]) -> str:
    """The table as text: the first column left-aligned, the others right-aligned."""
    sides = ["left"] + ["right"] * (len(table[0]) - 1)
    return tabulate(table, tablefmt="plain", disable_numparse=True, colalign=sides)


def markdown(table: list[list[str]], words: int = 2) -> str:
    """The table in Markdown: its first row is the header, and columns after the first ``words`` are right-aligned.

    Cells are not padded, as ``tabulate`` pads them, so that a changed number changes its own line alone.
    """
    rule = ["---"] * words + ["---:"] * (len(table[0]) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (table[0], rule, *table[1:]))


def visible(text: str) -> str:
    """One line of printable characters; others, such as line ends and lone surrogates, become Python's escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def plain(text: str) -> str:
    """Text that Markdown shows as it is: ``visible``, and special characters become character references."""
    return re.sub(r"[^\w\s.,;:'\"!?()-]|(?<![^\W_])_|_(?![^\W_])", lambda match: f"&#{ord(match[0])};", visible(text))
