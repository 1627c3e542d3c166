"""Tests of ``palbert report``: its pages, its refusals, its HTML in a browser."""

import os
import re
import shutil
import subprocess

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.report import cli as report
from tests.fixtures.recorded_runs import EXAMPLES, write_run

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# This script writes the width of every decoded picture into the page's title.
PROBE = """<script>addEventListener("load", () => {
    document.title = "pictures " + [...document.images].map(image => image.naturalWidth).join(" ");
});</script>"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    return [write_run(folder, "palbert", "SST-2", "q_exit:0.5", "fixed:4", halts=True, seeds=[1])]


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    report.main([*map(str, runs), "--out", str(out), "--resamples", "10"])
    return out / "report.html"


@pytest.fixture(scope="module")
def browse():
    """browse(html) opens the file in a headless browser and returns (the page's final DOM, lines of the console)."""
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} on PATH, and CHROMIUM is unset")

    def run(html):
        done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                               f"--user-data-dir={html.parent / 'profile'}", "--virtual-time-budget=5000", "--dump-dom",
                               html.as_uri()], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return run


def opened(browse, folder, html: str) -> tuple[list[int], list[str]]:
    """Returns (widths of the pictures, lines of the console) of a page in the browser."""
    path = folder / "page.html"
    path.write_text(html.replace("</body>", PROBE + "</body>"))
    dom, console = browse(path)
    title, = re.findall("<title>pictures(.*?)</title>", dom)
    return [int(width) for width in title.split()], console


def test_a_browser_shows_every_picture_and_says_nothing(page, browse, tmp_path):
    widths, console = opened(browse, tmp_path, page.read_text())
    assert len(widths) == 4 and min(widths) > 200 and console == []


def test_a_browser_would_tell(page, browse, tmp_path):
    """Negative control of the test above: the browser tells of a missing picture and of a failing script."""
    broken = page.read_text().replace("data:image/svg+xml;base64,", "missing.svg?", 1)
    widths, console = opened(browse, tmp_path, broken.replace("</body>", "<script>nowhere()</script></body>"))
    assert widths.count(0) == 1 and "nowhere is not defined" in "".join(console)


def test_the_command_stands_on_the_page_without_a_path(page):
    assert "palbert report .../palbert/SST-2 --out ..." in page.with_name("README.md").read_text()
    assert str(page.parents[1]) not in page.read_text()


def write_raw(folder, rows: int):
    (folder / "SST-2").mkdir(parents=True)
    (folder / "SST-2" / "dev.tsv").write_text("sentence\tlabel\n"
                                              + "".join(f"no. {i} is good\t1\n" for i in range(rows)))
    return str(folder)


def test_with_raw_data_sentences_have_their_text(runs, tmp_path):
    report.main([*map(str, runs), "--out", str(tmp_path / "out"), "--resamples", "10", "--glue-dir",
                 write_raw(tmp_path / "raw", EXAMPLES)])
    page = (tmp_path / "out" / "README.md").read_text()
    assert len(re.findall(r"^\| (\d+) \| no. \1 is good \|", page, re.MULTILINE)) == 10
    assert "with `--glue-dir`" not in page and page.count("--glue-dir $GLUE_DIR\n") == 1


def test_remarks_stand_before_the_tasks(runs, tmp_path):
    (tmp_path / "remarks.md").write_text("## What to make of it\n\nNothing *yet*.\n")
    report.main([*map(str, runs), "--out", str(tmp_path / "out"), "--resamples", "10", "--remarks",
                 str(tmp_path / "remarks.md")])
    page = (tmp_path / "out" / "README.md").read_text()
    assert page.index("Nothing *yet*.") < page.index("## SST-2") and "--remarks .../" in page
    assert "Nothing <em>yet</em>." in (tmp_path / "out" / "report.html").read_text()


def test_tasks_are_chosen_in_the_order_given(tmp_path):
    runs = [write_run(tmp_path, "palbert", task, "q_exit:0.5", "fixed:4", halts=True, seeds=[1])
            for task in ("MRPC", "SST-2", "QNLI")]
    out = tmp_path / "out"
    report.main([*map(str, runs), "--tasks", "QNLI", "MRPC", "--out", str(out), "--resamples", "10"])
    page = (out / "README.md").read_text()
    assert page.index("\n## QNLI") < page.index("\n## MRPC") and "\n## SST-2" not in page
    assert " --tasks QNLI MRPC" in page
    with pytest.raises(UserError, match="--tasks RTE: no run is of it: choose from MRPC, SST-2, QNLI"):
        report.main([*map(str, runs), "--tasks", "RTE", "--out", str(tmp_path / "no")])


def test_a_page_of_another_origin_is_not_replaced(runs, tmp_path):
    page, arguments = tmp_path / "README.md", [str(runs[0]), "--out", str(tmp_path), "--resamples", "2"]
    report.main(arguments)
    report.main(arguments)
    page.write_text("# My repository\n")
    with pytest.raises(UserError, match="README.md: is no page of palbert report, and would be lost"):
        report.main(arguments)
    assert page.read_text() == "# My repository\n"


def test_a_mistake_is_one_line_and_leaves_nothing(runs, tmp_path):
    arguments = [*map(str, runs), "--out", str(tmp_path / "out")]
    with pytest.raises(UserError, match="SST-2 has 3 rows of valid, the record 60"):
        report.main([*arguments, "--glue-dir", write_raw(tmp_path / "raw", 3)])
    with pytest.raises(UserError, match="--resamples 0: at least 1"):
        report.main([*arguments, "--resamples", "0"])
    with pytest.raises(UserError, match="no .*/scores/test with scores.jsonl"):
        report.main([*arguments, "--split", "test"])
    with pytest.raises(UserError, match="--remarks .*gone.md: cannot be used"):
        report.main([*arguments, "--remarks", str(tmp_path / "gone.md")])
    assert not (tmp_path / "out").exists()
