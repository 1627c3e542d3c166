"""Tests of how plots are saved."""

import re

from fairseq_palbert.report.style import panels


def test_an_svg_is_short_and_its_texts_are_whole(tmp_path):
    path = tmp_path / "plot.svg"
    with panels(path, 1) as (_, (panel,)):
        panel.plot([0, 1 / 3, 1], [1 / 7, 1 / 9, 1])
        panel.set_title("0.123456789")
    svg = path.read_text()
    assert ">0.123456789</text>" in svg
    paths = re.findall(r' d="([^"]*)"', svg)
    assert paths and not re.search(r"\.\d{3}", " ".join(paths))
    assert not re.search("^ ", svg, re.MULTILINE) and "Verdana" not in svg
