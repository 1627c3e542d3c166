"""Code and remarks that a user brings, as Markdown and HTML show them unchanged."""

import re
from html.parser import HTMLParser

import markdown

from ..tables import plain, visible

EXTENSIONS = ["tables", "fenced_code"]
# what Markdown makes of text: tags, and their attributes
TAGS = {*(f"h{level}" for level in range(1, 7)), "p", "br", "hr", "ul", "ol", "li", "em", "strong", "code", "pre",
        "blockquote", "table", "thead", "tbody", "tr", "th", "td", "a"}
ATTRIBUTES = {"class": r"language-[\w+-]+", "style": r"text-align: (left|right|center);", "title": ".*",
              "start": r"\d+", "href": r"(https?://|#|[\w.-]+([/#]|$)).*"}


def code(text: str) -> str:
    """A code span, where the text has no special character; otherwise ``plain``."""
    return f"`{text}`" if re.fullmatch(r"[\w.:,/-]+", text) else plain(text)


def code_block(lines: list[str]) -> str:
    """The ``visible`` lines in a fence that is longer than any in them."""
    text = "\n".join(map(visible, lines))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def as_html(page: str) -> str:
    return markdown.markdown(page, extensions=EXTENSIONS)


def check_remarks(text: str) -> None:
    """Raises ValueError, whose message is a phrase, for Markdown with an image, HTML, or a link that runs a script."""
    checker = _TextAlone(convert_charrefs=False)
    checker.feed(as_html(text))
    checker.close()


class _TextAlone(HTMLParser):
    """Raises ValueError for a tag or an attribute that Markdown's text, tables and links have no use for."""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            raise ValueError("it has an image" if tag == "img" else f"it has the HTML tag <{visible(tag)}>")
        for name, value in attributes:
            if not re.fullmatch(ATTRIBUTES.get(name, "(?!)"), value or "", re.DOTALL):
                raise ValueError(f"it has a {visible(name)} of {visible(value or '')!r}")

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise ValueError("it has an HTML tag that does not end")

    def _refuse(self, data: str) -> None:
        raise ValueError(f"it has the HTML <!{visible(data):.40}")

    handle_comment = handle_decl = handle_pi = unknown_decl = _refuse
