"""Tests of hostile names, commands and remarks: shown as text, or refused.

They have Markdown, HTML or formulas.
"""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from fairseq_palbert.analysis.recorded_split import RecordedSplit
from fairseq_palbert.command_file import parse_command, typed
from fairseq_palbert.errors import UserError
from fairseq_palbert.report import cli as report
from fairseq_palbert.report.escaping import as_html, check_remarks, code_block
from fairseq_palbert.tables import plain
from tests.fixtures.recorded_runs import write_run

NAMES = ["$x^{2", "<img src=x>", "_under_", "a|b`c`", "[x](y)", "![x](y)", "new\nline\x01", "*b*", "名 <b>", "a" * 200]
LABELS = ("<script>alert(1)</script> a|b `c` *d*", "![i](http://e/x.png) [l](javascript:alert(1))")
TAGS = {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "strong", "em",
        "img"}
COMMAND = ("fairseq-train $RUN_DIR/data '```\n\n<img src=\"/etc/hostname\">' --valid-subset '`<b>`' "
           "--train-examples '<i>'")


class Elements(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def _relabelled(recorded: RecordedSplit) -> RecordedSplit:
    task = replace(recorded.task, name="mine", benchmark=None, folder=None, labels=LABELS)
    return replace(recorded, task=task)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Writes the report of methods and labels with hostile names and a hostile command, and returns its folder."""
    folder = tmp_path_factory.mktemp("hostile")
    runs = [write_run(folder / "runs", name, "SST-2", "q_exit:0.5", "fixed:4", halts=True, seeds=[1],
                      change=_relabelled) for name in NAMES]
    (runs[0] / "seed1" / "command").write_text(COMMAND)
    report.main([*map(str, runs), "--out", str(folder / "out"), "--resamples", "2"])
    return folder / "out"


def test_the_page_has_its_own_elements_alone(out):
    page = (out / "report.html").read_text(encoding="utf-8")
    elements = Elements(page.partition("<body>")[2])
    assert {tag for tag, _ in elements.found} <= TAGS
    images = [attributes for tag, attributes in elements.found if tag == "img"]
    assert len(images) == 4 and all(image["src"].startswith("data:image/svg+xml;base64,") for image in images)
    assert {key for _, attributes in elements.found for key in attributes} <= {"src", "alt", "style"}
    for name in (*NAMES, *LABELS):
        assert name.replace("\n", r"\n").replace("\x01", r"\x01") in elements.text
    assert '<img src="/etc/hostname">' in elements.text and "--train-examples '<i>'" in elements.text


def test_plots_show_the_names_as_they_are(out):
    for plot in out.glob("*.svg"):
        text = "".join(ElementTree.parse(plot).getroot().itertext())
        for name in NAMES:
            assert name.replace("\n", r"\n").replace("\x01", r"\x01") in text, plot.name


@pytest.mark.parametrize("text", [*NAMES, "`" * 5, "~~~", "&lt;", "    code", "# h", "- x", "1. x", "\x02wzxhzdk:0\x03",
                                  "a\u2028b", "\udcff"])
def test_plain_text_has_no_markup(text):
    shown = Elements(as_html(f"a {plain(text)} b"))
    assert [tag for tag, _ in shown.found] == ["p"]
    block = Elements(as_html(code_block([text, "```", "<b>"])))
    assert [tag for tag, _ in block.found] == ["pre", "code"]
    assert re.sub(r"\s", "", block.text).endswith("```<b>")


IMAGES = ["![x](https://example.org/x.png)", "![x](/etc/hostname)", "![x](front.svg)", "![x](data:image/png;base64,AA)",
          "![x][y]\n\n[y]: https://example.org/x.png", "<img src=x>", "a <IMG SRC=x>", "> - ![x](y)"]
HTML = ["<script>x</script>", "<b>x</b>", "<!-- x -->", "<?php x ?>", "<!DOCTYPE html>", "<a onclick=x>y</a>",
        "[x](javascript:alert)", "[x](data:text/html,x)", "[x](/etc/passwd)", "<p style='color: red'>x</p>",
        "<div>\n\nx\n\n</div>"]


@pytest.mark.parametrize("remark", IMAGES + HTML)
def test_remarks_with_images_and_html_are_refused_before_anything_is_written(tmp_path, remark):
    (tmp_path / "remarks.md").write_text(f"## Remarks\n\nSome text.\n\n{remark}\n")
    with pytest.raises(UserError, match="--remarks .*remarks.md: cannot be used"):
        report.main([str(tmp_path / "no run"), "--out", str(tmp_path / "out"), "--remarks",
                     str(tmp_path / "remarks.md")])
    assert not (tmp_path / "out").exists()


def test_remarks_of_text_are_taken():
    check_remarks("## Title\n\n- *a* **b** `<img src=x>`\n1. [c](https://example.org) [d](../x/README.md#e) [f](#g)\n\n"
                  "| a | b |\n|---|--:|\n| 1 < 2 & 3 | src=\"front.svg\" |\n\n<img src=x\n\n"
                  "```python\nx = '<img>' ![y](z)\n```\n\n---\n")


def test_a_command_is_typed_with_the_recipe_s_variables_alone():
    words = ["a", "$RUN_DIR/data", "$DATA", "$(touch x)", "$HOME;x", "`touch x`", "b c"]
    assert typed(words) == "a $RUN_DIR/data $DATA '$(touch x)' '$HOME;x' '`touch x`' 'b c'"
    assert parse_command(typed(words)) == words
    for damaged in ("", "a 'b"):
        with pytest.raises(ValueError):
            parse_command(damaged)
