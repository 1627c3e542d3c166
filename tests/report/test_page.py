"""Tests of a report's files: complete, reproducible, without paths of the machine."""

import re
from pathlib import Path

import pytest

from fairseq_palbert.report.page import write_report
from fairseq_palbert.report.runs import read_runs
from tests.fixtures.recorded_runs import write_run

METHODS = {"vanilla": ["fixed:4"], "palbert": ["q_exit:0.5", "sampling:1", "expectation", "fixed:4"],
           "pabee": ["patience:1"]}
PLOTS = {"exits", "examples", "posterior"}


def write(folder: Path, runs: list[Path]) -> dict[str, str]:
    """Writes a report and returns the texts of its files by name."""
    folder.mkdir()
    write_report(folder, read_runs(runs, "valid"), "palbert report ...", {}, 20)
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Writes runs of three methods on SST-2, then on STS-B, and returns their folders."""
    folder = tmp_path_factory.mktemp("runs")
    tasks = {"SST-2": METHODS, "STS-B": METHODS | {"pabee": ["patience:1:0.3"]}}
    return [write_run(folder, method, task, *rules, halts=method == "palbert", calibrated=True)
            for task, methods in tasks.items() for method, rules in methods.items()]


@pytest.fixture(scope="module")
def files(runs, tmp_path_factory):
    return write(tmp_path_factory.mktemp("report") / "out", runs)


def test_the_page_has_its_plots_and_the_html_holds_them(files):
    plots = {f"{task}_{name}.svg" for task in ("SST-2", "STS-B") for name in PLOTS} | {"front.svg"}
    assert files.keys() == {"README.md", "COMMANDS.md", "report.html", "front.md"} | plots
    assert files["front.md"] in files["README.md"]
    assert set(re.findall(r"\]\((.*?)\)", files["README.md"])) == plots | {"COMMANDS.md"}
    assert files["report.html"].count('src="data:image/svg') == len(plots)
    assert not re.findall(r'(?:src|href)="(?!data:)', files["report.html"])
    assert files["report.html"].count("<table>") == len(re.findall(r"^\| ---", files["README.md"], re.MULTILINE)) == 12
    assert "nan" not in files["README.md"] and "| " not in re.sub("<pre>.*?</pre>", "", files["report.html"],
                                                                  flags=re.DOTALL)


def test_the_same_runs_give_the_same_bytes_and_no_path(files, runs, tmp_path):
    again = write(tmp_path / "again", runs[:3])
    assert again["README.md"].partition("## SST-2")[2].partition("The commands of")[0].strip() in files["README.md"]
    assert all(text == files[name] for name, text in again.items() if name.startswith("SST-2_"))
    for name, text in files.items():
        assert str(tmp_path.parent) not in text and "/home" not in text and str(Path.home()) not in text, name


def test_the_caption_says_where_numbers_come_from(files):
    page = files["README.md"]
    assert "Split `valid`, 60 examples. Score: accuracy, in points" in page and "mean of pearson and spearman" in page
    assert ("- **vanilla, palbert, pabee**: seeds 1, 2; trained on 16,000 rows of a seeded shuffle; checkpoints "
            "selected by score on `holdout`; scored on cpu (x86_64, 1 thread), float32, batches of 8; commit "
            "`c0ffeec0ffee`, torch 2.13.0."
            ) in page
    for shown in (files["COMMANDS.md"], files["report.html"]):
        assert "fairseq-train $RUN_DIR/data" in shown and "--user-dir .../fairseq_palbert" in shown
    assert ("Each run keeps the checkpoint that is best by score on `holdout` (all). Thresholds were chosen for each "
            "seed on the split `calibration`, a part of train that no layer was trained on (SST-2 60, STS-B 60 "
            "examples)") in page
    assert "No record of `calibration`" not in page


def test_runs_without_a_calibration_record_are_named(make_run, tmp_path):
    files = write(tmp_path / "out", [make_run("palbert", "SST-2", "q_exit:0.5", "fixed:4", halts=True),
                                     make_run("pabee", "SST-2", "patience:1", calibrated=True),
                                     make_run("vanilla", "SST-2", "fixed:4")])
    page = files["README.md"]
    assert "so that rules stand at the settings they were scored with: palbert on SST-2." in page
    assert "chosen for each seed" in page and "Is depth earned?" not in page and "Q-exit against other rules" in page


def test_a_static_model_alone_makes_a_report(make_run, tmp_path):
    files = write(tmp_path / "out", [make_run("vanilla", "SST-2", "fixed:2", "fixed:4", seeds=[1])])
    assert files.keys() == {"README.md", "COMMANDS.md", "report.html", "front.md", "front.svg"}
