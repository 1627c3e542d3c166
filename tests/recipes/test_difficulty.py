"""Tests of recipes/difficulty.sh: training, correlation with difficulty, and the report."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from fairseq_palbert.analysis.recorded_split import write_record
from fairseq_palbert.errors import UserError
from recipes import difficulty
from tests.fixtures.recorded_runs import DEPTH, EXAMPLES, random_record

RIGHTS = [100 - row % 7 for row in range(EXAMPLES)]
TABLES = {
    "a row that is missing": ("index\tcorrect_of_100\n0\t90\n2\t80\n", "not one row for each index from 0"),
    "more than 100 right": ("index\tcorrect_of_100\n0\t101\n", "at most 100"),
    "a half": ("index\tcorrect_of_100\n0\t9.5\n", "is no whole number"),
    "another column": ("index\tright\n0\t9\n", "correct_of_100"),
}


@pytest.fixture
def mnli(tmp_path):
    folder = tmp_path / "mnli"
    folder.mkdir()
    rows = "".join(f"{row}\t{right}\n" for row, right in reversed(list(enumerate(RIGHTS))))
    (folder / "matched_difficulty.tsv").write_text("index\tcorrect_of_100\n" + rows)
    return folder


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Replaces training by random records of two seeds; returns the list of the noted settings."""
    trained = []

    def train(settings) -> None:
        trained.append(settings)
        for seed in settings.seeds:
            folder = Path(settings.run_dir) / f"seed{seed}" / "scores" / "valid"
            folder.mkdir(parents=True, exist_ok=True)
            write_record(folder / "record.safetensors", random_record("RTE", seed, halts=settings.method == "palbert"))

    monkeypatch.setattr(difficulty, "run_experiment", train)
    monkeypatch.setattr(difficulty, "RESAMPLES", 20)
    monkeypatch.delenv("RUN_DIR", raising=False)
    for name, value in {"METHODS": "palbert pabee", "SEEDS": "1 2", "LR": "0.25"}.items():
        monkeypatch.setenv(name, value)
    return trained


def report(mnli: Path, out: Path) -> list[dict]:
    difficulty.main([str(mnli), "--out", str(out)])
    return [json.loads(line) for line in (out / "difficulty.jsonl").read_text().splitlines()]


def test_every_rule_stands_at_half_the_depth(stand_in, mnli, tmp_path, capsys):
    rows = report(mnli, tmp_path / "out")
    assert [(row["method"], row["rule"]) for row in rows] == [
        ("palbert", "q_exit"), ("palbert", "entropy"), ("pabee", "patience"), ("pabee", "entropy")]
    for row in rows:
        low, high = row["interval"]
        assert low < row["spearman"] < high and row["seeds"] == 2 and len(row["mean_exit_by_tenth"]) == 10
        if row["rule"] != "patience":  # patience has few thresholds
            assert row["mean_exit"] == pytest.approx(DEPTH / 2, abs=0.1)
    assert "| palbert | q_exit |" in capsys.readouterr().out
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| pabee | patience |" in page and "on the mismatched dev set of MNLI" in page
    assert (tmp_path / "out" / "difficulty.svg").stat().st_size > 10_000


def test_methods_are_trained_with_their_flags_on_the_task(stand_in, mnli, tmp_path):
    report(mnli, tmp_path / "out")
    palbert, pabee = stand_in
    assert (palbert.lr, palbert.lambda_lr, pabee.lambda_lr, palbert.select_on) == (0.25, 1e-4, None, "holdout")
    assert "--per-layer-classifier" in palbert.extra_train_flags
    assert "--per-layer-classifier" not in pabee.extra_train_flags
    content = tomllib.loads(Path(palbert.task).read_text())
    assert content["splits"]["train"] == f"{mnli}/validation_mismatched.jsonl"
    assert content["splits"]["valid"] == f"{mnli}/validation_matched.jsonl"


def test_mnli_s_own_train_is_used_where_it_is_there(stand_in, mnli, tmp_path):
    (mnli / "train.jsonl").touch()
    report(mnli, tmp_path / "out")
    assert tomllib.loads(Path(stand_in[0].task).read_text())["splits"]["train"] == f"{mnli}/train.jsonl"
    assert "Models were trained on MNLI's train;" in (tmp_path / "out" / "README.md").read_text()


def test_exits_that_follow_difficulty_correlate_with_it():
    hard = np.arange(40) % 8
    follows, random = np.stack([hard // 2, hard]), np.random.default_rng(0).integers(6, size=(2, 40))
    assert difficulty.correlation(follows, hard) == pytest.approx((spearmanr(hard // 2, hard).statistic + 1) / 2)
    assert difficulty.correlation(-follows, hard) == -difficulty.correlation(follows, hard)
    of_each = [spearmanr(seed, hard).statistic for seed in random]
    assert difficulty.correlation(random, hard) == pytest.approx(np.mean(of_each))
    assert difficulty.correlation(np.ones((2, 40)), hard) == 0


def test_tenths_do_not_depend_on_the_order_of_equally_hard_sentences():
    hard, exits = np.repeat([0, 5, 9], [10, 20, 10]), np.random.default_rng(0).integers(6, size=(3, 40))
    order = np.random.default_rng(1).permutation(40)
    tenths = difficulty.by_tenth(exits, hard)
    assert tenths == pytest.approx(difficulty.by_tenth(exits[:, order], hard[order]))
    assert tenths[0] == pytest.approx(exits[:, :10].mean()) and tenths[-1] == pytest.approx(exits[:, 30:].mean())


@pytest.mark.parametrize("content, message", TABLES.values(), ids=TABLES)
def test_a_bad_table_of_difficulty_is_refused(stand_in, mnli, tmp_path, content, message):
    (mnli / "matched_difficulty.tsv").write_text(content)
    with pytest.raises(UserError, match="matched_difficulty.tsv") as refused:
        difficulty.main([str(mnli), "--out", str(tmp_path / "out")])
    assert message in str(refused.value) and not stand_in and not (tmp_path / "out").exists()


def test_a_table_of_another_length_than_the_scored_split_is_refused(stand_in, mnli, tmp_path):
    with open(mnli / "matched_difficulty.tsv", "a") as file:
        file.write(f"{EXAMPLES}\t50\n")
    with pytest.raises(UserError, match=f"has {EXAMPLES} rows, and matched_difficulty.tsv {EXAMPLES + 1}"):
        difficulty.main([str(mnli), "--out", str(tmp_path / "out")])


def test_an_unknown_method_is_refused(stand_in, mnli, tmp_path, monkeypatch):
    monkeypatch.setenv("METHODS", "palbert nope")
    with pytest.raises(UserError, match="METHODS has nope: choose from palbert, palbert_staged, pabee, berxit"):
        difficulty.main([str(mnli), "--out", str(tmp_path / "out")])


def test_a_folder_that_cannot_be_made_is_refused_before_training(stand_in, mnli):
    with pytest.raises(UserError, match="^/proc/none/runs/task: cannot be written .*: choose another place"):
        difficulty.main([str(mnli), "--out", "/proc/none"])
    assert not stand_in
