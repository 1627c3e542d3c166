"""Tests of recipes/parity.sh: its runs, flags, curves in logs, and results."""

import json
import math
from dataclasses import replace

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from recipes.parity import __main__ as parity
from recipes.parity.page import flatness, page
from recipes.parity.plan import DEFAULT, LAMBDAS, PAPER, SETTINGS, TAUS, Run, flags_of, plan
from recipes.parity.training import curves, train_all

TINY = replace(DEFAULT, name="tiny", updates=4, interval=2, seeds=1, value_seeds=1, spread_seeds=2, batch=8)
STEPS = {"ponder_classification": "q_exit_depth", "act": "steps", "multi_exit_classification": "none"}


@pytest.mark.parametrize("size", [DEFAULT, PAPER])
def test_every_run_is_planned_once(size):
    runs = plan(size)
    assert len(runs) == len({run.folder for run in runs}) == len(set(runs))
    assert {run.value for run in runs if run.method == "PonderNet"} == set(LAMBDAS)
    assert {run.value for run in runs if run.method == "ACT"} == set(TAUS)
    for method in ("PonderNet", "ACT", "fixed steps"):
        seeds = [run.seed for run in runs if run.method == method and run.setting == SETTINGS[1]]
        assert seeds == list(range(1, size.seeds + 1))


@pytest.mark.parametrize("method, value", [("PonderNet", 0.1), ("ACT", 0.001), ("fixed steps", None)])
@pytest.mark.parametrize("size", [DEFAULT, PAPER])
def test_fairseq_takes_the_flags(build_from_flags, method, value, size):
    cfg, task, model, _ = build_from_flags(*flags_of(Run(method, SETTINGS[1], value, 3), size))
    assert (task.vector_size, model.network.depth, cfg.task.extrapolate) == (size.vector_sizes[1], size.steps, True)
    assert (cfg.optimization.max_update, cfg.common.seed) == (size.updates, 3)


def log_line(split: str, updates: int, **numbers: float) -> str:
    named = {f"{split}_{name}": f"{value:g}" for name, value in {"num_updates": updates, **numbers}.items()}
    return f"2026-01-01 00:00:00 | INFO | {split} | " + json.dumps({"epoch": 1, **named})


@pytest.fixture
def stand_in(monkeypatch):
    """Replaces fairseq-train by one that logs two epochs; returns the list of its noted flags.

    Accuracy rises with the seed. Steps rise with λ_p, or with the seed in runs without λ_p.
    """
    trained = []

    def train(flags, log, devices):
        def value_of(flag):
            return flags[flags.index(flag) + 1]

        trained.append(flags)
        steps = STEPS[value_of("--criterion")]
        value = float(value_of("--prior-lambda" if "--prior-lambda" in flags else "--seed"))
        lines = []
        for updates, accuracy in ((2, 0.5), (4, 0.9 + int(value_of("--seed")) / 100)):
            for split in ("valid", "test"):
                lines.append(log_line(split, updates, accuracy=accuracy, **{steps: 1 + value}))
            lines.append(log_line("train", updates, ups=10 * updates))
        log.write_text("\n".join(["INFO | other", *lines]) + "\n")

    monkeypatch.setattr(launch, "train", train)
    return trained


def test_curves_are_read_from_the_log_and_the_last_of_an_update_counts(tmp_path):
    logged = (2, 0.5), (2, 0.6), (4, 0.7)
    lines = [log_line(split, updates, accuracy=accuracy, steps=3) for updates, accuracy in logged
             for split in ("valid", "test")] + [log_line("train", 4, ups=7)]
    (tmp_path / "train.log").write_text("\n".join(lines))
    read = curves(tmp_path / "train.log", Run("ACT", SETTINGS[0], 0.1, 1), TINY)
    assert read == {"updates": [2, 4], "valid": {"accuracy": [0.6, 0.7], "steps": [3, 3]},
                    "test": {"accuracy": [0.6, 0.7], "steps": [3, 3]}, "rate": 7}


def test_all_runs_are_trained_scored_and_drawn_once(stand_in, monkeypatch, tmp_path, capsys):
    scored = []
    monkeypatch.setattr(parity.evaluation, "main", scored.append)
    parity.experiment(TINY, tmp_path, jobs=2)
    assert len(stand_in) == len(plan(TINY)) and len(scored) == 4
    results = tmp_path / "results"
    names = {"README.md", "curves.jsonl", "training.svg", "compute.svg", "sensitivity.svg", "spread.svg"}
    assert {path.name for path in results.iterdir()} == names
    about = json.loads((tmp_path / "ACT0.001" / SETTINGS[0] / "seed1" / "run.json").read_text())
    assert {"flags", "git", "versions", "machine", "time"} <= set(about)
    parity.experiment(TINY, tmp_path, jobs=2)
    assert len(stand_in) == len(plan(TINY)), "runs that are done are not trained again"
    before = {name: (results / name).read_bytes() for name in names}
    parity.main(["--draw", str(results)])
    assert before == {name: (results / name).read_bytes() for name in names}


def test_a_run_with_other_flags_is_refused(stand_in, tmp_path):
    run = plan(TINY)[0]
    train_all([run], TINY, tmp_path, 1)
    with pytest.raises(UserError, match="of a run with other flags: choose another RUN_DIR"):
        train_all([run], replace(TINY, lr=0.5), tmp_path, 1)


def test_the_estimate_follows_the_measured_rate(stand_in, tmp_path, capsys):
    """The stand-in's epochs run at 20 and 40 updates a second, and the estimate takes the upper rate."""
    parity.estimate(PAPER, tmp_path, jobs=2)
    hours = len(plan(PAPER)) * PAPER.updates / 40 / 2 / 3600
    assert f"about {hours:.1f} hours at the 40.0 updates a second" in capsys.readouterr().out


def finished(method: str, value: float | None, seed: int, accuracy: float, steps: float = 4.0) -> dict:
    curve = {"accuracy": [0.5, accuracy], "steps": [steps, steps]}
    return {"method": method, "setting": SETTINGS[0], "value": value, "seed": seed, "updates": [2, 4], "valid": curve,
            "test": curve, "rate": 9.0, "size": "tiny", "steps": 10, "batch": 8, "vector_size": 8}


def test_the_sentence_on_sensitivity_compares_the_spread_of_the_means():
    ponder = [finished("PonderNet", value, seed, accuracy) for seed in (1, 2)
              for value, accuracy in ((0.1, 0.99), (0.9, 0.98))]
    act = [finished("ACT", value, 1, accuracy) for value, accuracy in ((0.001, 0.99), (0.1, 0.9))]
    assert flatness([*ponder, *act]) == (
        "PonderNet is flatter in λ_p than ACT in τ here: over the values tried, its mean accuracies lie 1.00 points "
        "apart, ACT's 9.00.")
    assert "is not flatter" in flatness([*ponder, finished("ACT", 0.001, 1, 0.9)])
    extra = finished("PonderNet", 0.1, 3, 0.2)  # a seed that the other values lack
    assert flatness([*ponder, extra, *act]) == flatness([*ponder, *act])


def test_the_table_counts_good_seeds():
    text = page([finished("PonderNet", 0.1, 1, 0.992, 3), finished("PonderNet", 0.1, 2, 0.96, 5),
                 finished("ACT", 0.001, 1, 0.9)])
    row = next(line for line in text.splitlines() if line.startswith("| interpolation | PonderNet"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2:6] == ["2", "97.60 (96.00 to 99.20)", "1", "4.00 (3.00 to 5.00)"]
    assert math.isclose(float(cells[6].split()[0]), 4 * 8 * 4 / 1e6, abs_tol=0.005)


def test_an_unknown_size_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("SIZE", "huge")
    with pytest.raises(UserError, match="SIZE=huge: choose from default, paper"):
        parity.main([])


@pytest.mark.parametrize("place", ["/proc/none", "/proc/none/deeper", "/proc/cpuinfo"])
def test_a_folder_that_cannot_be_made_is_one_line(monkeypatch, place):
    monkeypatch.setenv("RUN_DIR", place)
    with pytest.raises(UserError, match=f"^{place}: cannot be written .*: choose another place"):
        parity.main([])


def good_lines() -> list[dict]:
    return [finished("PonderNet", 0.1, 1, 0.99), finished("ACT", 0.001, 1, 0.9), finished("fixed steps", None, 1, 0.9)]


@pytest.mark.parametrize("change, said", [
    ({"method": None}, r"line 1: method is None, and should be one of PonderNet"),
    ({"value": None}, "line 1: value is None, which PonderNet cannot"),
    ({"setting": "other"}, "line 1: setting is 'other'"), ({"value": "0.1"}, "line 1: value is '0.1'"),
    ({"updates": []}, r"line 1: updates is \[\]"), ({"test": {"steps": [1, 2]}}, "line 1: test is "),
    ({"updates": [2, 4, 6]}, "line 1: has 3 updates and 2 values of valid accuracy"), ({"more": 1}, "line 1: has more"),
    ({"value": 0.3}, "has no seed of PonderNet on interpolation that every value has, 0.1 among them"),
])
def test_curves_that_cannot_be_drawn_are_refused(tmp_path, change, said):
    path = tmp_path / "curves.jsonl"
    first, *others = good_lines()
    path.write_text("".join(json.dumps(run) + "\n" for run in (first | change, *others)), encoding="utf-8")
    with pytest.raises(UserError, match=f"{path}.*{said}.*: make it again with recipes/parity.sh"):
        parity.main(["--draw", str(tmp_path)])
    assert list(tmp_path.iterdir()) == [path]


def test_runs_of_different_updates_are_refused(tmp_path):
    runs = good_lines()
    other = {**runs[0], "seed": 2, "updates": [3, 6]}
    (tmp_path / "curves.jsonl").write_text("".join(json.dumps(run) + "\n" for run in (*runs, other)), encoding="utf-8")
    with pytest.raises(UserError, match="line 4: has other updates than line 1"):
        parity.main(["--draw", str(tmp_path)])
