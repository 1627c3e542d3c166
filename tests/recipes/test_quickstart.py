"""Tests of recipes/quickstart.sh, with a stand-in for glue_task.sh, and recipes/by_degree.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from recipes import by_degree
from recipes.progress import progress
from tests.fixtures import recorded_runs

ROOT = Path(__file__).resolve().parents[2]
EXITS = {1: 2, 2: 3, 3: 4}
SETUP = """#!/usr/bin/env bash
mkdir -p "$RUN_DIR"
echo "${PYTHON:-}" >"$RUN_DIR/python"
"""
GLUE_TASK = """#!/usr/bin/env bash
set -eu
echo "$* $GLUE_DIR $VOCAB_DIR $SEEDS" >>"$RUN_DIR/calls"
[[ -f "$VOCAB_DIR/gpt2_bpe/dict.txt" ]]
scores="$RUN_DIR/seed$SEEDS/scores/valid"
mkdir -p "$scores"
cp -r "$STAND_IN/." "$scores"
"""


@pytest.fixture
def write_scores(tmp_path):
    """write_scores(folder, degrees, exits, wrong, depth) writes files as scoring does and returns their folder.

    A sentence of degree d exits at layer ``exits[d]``, and the first ``wrong`` answers are wrong.
    """

    def write(folder: Path, degrees: list[int], exits: dict[int, int] = EXITS, wrong: int = 0, depth: int = 6) -> Path:
        recorded_runs.write_scores(folder, {"q_exit:0.5": [exits[degree] for degree in degrees]}, depth)
        rows = ["index\tlabel\tq_exit:0.5.prediction\tq_exit:0.5.exit_layer"]
        rows += [f"{i}\t1\t{int(i >= wrong)}\t{exits[degree]}" for i, degree in reversed(list(enumerate(degrees)))]
        (folder / "predictions.tsv").write_text("".join(row + "\n" for row in rows))
        return folder

    return write


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text("sentence\tlabel\tdegree\n" + "".join(f"s\t1\t{degree}\n" for degree in DEGREES))
    return path


DEGREES = [1, 3, 2, 1, 2, 3, 1, 1, 1, 1] * 4


def test_the_table_and_the_claim(raw, write_scores, tmp_path, capsys):
    by_degree.main([str(raw), str(write_scores(tmp_path / "scores", DEGREES, wrong=1))])
    table, claim = capsys.readouterr().out.rsplit("\n", 2)[:2]
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["1", "24", "95.8%", "2.00"], ["2", "8", "100.0%", "3.00"], ["3", "8", "100.0%", "4.00"],
        ["all", "40", "97.5%", "2.60"],
    ]
    assert claim.startswith("As claimed")


@pytest.mark.parametrize("scores, message", [
    ({"wrong": 3}, "accuracy 92.5% is below 95%"),
    ({"exits": {1: 2, 2: 4, 3: 3}}, "degree 3 leaves before degree 2"),
    ({"exits": {1: 3, 2: 3, 3: 3}}, "the hardest degree leaves 0.00 layers after the easiest, not 0.3"),
    ({"exits": {1: 5, 2: 5, 3: 6}}, "the mean exit layer 5.20 is above 4.50 of 6"),
])
def test_a_broken_claim_is_one_line(raw, write_scores, tmp_path, scores, message):
    with pytest.raises(UserError, match=message):
        by_degree.main([str(raw), str(write_scores(tmp_path / "scores", DEGREES, **scores))])


@pytest.mark.parametrize("easier, broken", [
    (2.02, []),  # two of 100 sentences exit a layer later: the model treats both degrees alike
    (2.1, ["degree 2 leaves before degree 1, by more than 0.05 layers"]),
])
def test_degrees_may_be_alike(easier, broken):
    exits = {1: easier, 2: 2.0, 3: 2.8}
    degrees = {degree: by_degree.Summary(100, 1.0, mean_exit) for degree, mean_exit in exits.items()}
    assert by_degree.broken_claims(degrees, by_degree.Summary(300, 1.0, 2.2), depth=6) == broken


@pytest.mark.parametrize("change, flags, message", [
    (lambda scores: (scores / "predictions.tsv").unlink(), [], "predictions.tsv is missing"),
    (lambda scores: None, ["--rule", "fixed:6"], "no exit rule 'fixed:6': choose from q_exit:0.5, or score it with"),
    (lambda scores: (scores / "predictions.tsv").write_text(
        "index\tlabel\tq_exit:0.5.prediction\tq_exit:0.5.exit_layer\n0\t1\t1\t2\n"), [],
     "has 1 rows, and scores.jsonl beside it 40 examples"),
])
def test_files_that_do_not_fit_are_one_line(raw, write_scores, tmp_path, change, flags, message):
    scores = write_scores(tmp_path / "scores", DEGREES)
    change(scores)
    with pytest.raises(UserError, match=message):
        by_degree.main([str(raw), str(scores), *flags])


@pytest.mark.parametrize("line, told", [
    ("2026-01-02 03:04:05 | INFO | train_inner | epoch 006:      5 / 9 loss=0.38, task_loss=0.29, q_exit_depth=1.5, "
     "accuracy_1=0.1, accuracy=0.7, num_updates=50, lr=0.1, wall=2\n",
     "update 50: loss 0.38, accuracy 0.7, mean exit layer 1.5"),
    ("2026-01-02 03:04:05 | INFO | train | epoch 006 | loss 0.38 | num_updates 50\n", None),
    ("2026-01-02 03:04:05 | INFO | train_inner | epoch 006: loss=0.38, accuracy=0.7, num_updates=50\n", None),
])
def test_progress(line, told):
    assert progress(line) == told


class TestRecipe:
    @pytest.fixture
    def quickstart(self, tmp_path):
        """quickstart(*arguments, **variables) runs quickstart.sh in a copy of recipes/.

        In the copy, setup.sh notes PYTHON, and glue_task.sh copies the scores of tmp_path/scores.
        """
        root = tmp_path / "copy"
        shutil.copytree(ROOT / "recipes", root / "recipes")
        for package in ("fairseq_palbert", "preprocess"):
            (root / package).symlink_to(ROOT / package)
        (root / "recipes" / "setup.sh").write_text(SETUP)
        (root / "recipes" / "glue_task.sh").write_text(GLUE_TASK)
        environment = {
            "PATH": os.environ["PATH"], "VENV": sys.prefix, "RUN_DIR": str(tmp_path / "run"),
            "STAND_IN": str(tmp_path / "scores"),
        }

        def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
            return subprocess.run([str(root / "recipes" / "quickstart.sh"), *arguments], env=environment | variables,
                                  cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

        return run

    def degrees(self, run_dir: Path) -> list[int]:
        lines = (run_dir / "raw" / "Cues" / "dev.tsv").read_text().splitlines()[1:]
        return [int(line.split("\t")[2]) for line in lines]

    def test_generates_once_and_tells_whether_the_claim_holds(self, quickstart, write_scores, tmp_path):
        run_dir = tmp_path / "run"
        (tmp_path / "empty").mkdir()
        first = quickstart(STAND_IN=str(tmp_path / "empty"))
        assert first.returncode == 1 and "predictions.tsv" in first.stderr and "Traceback" not in first.stderr
        degrees = self.degrees(run_dir)
        (run_dir / "raw" / "Cues" / "test.tsv").write_text("not generated again")

        write_scores(tmp_path / "scores", degrees)
        held = quickstart(PYTHON="/opt/python3.11")
        assert held.returncode == 0, held.stderr
        assert (run_dir / "python").read_text() == "/opt/python3.11\n"
        assert "As claimed" in held.stdout
        assert (run_dir / "raw" / "Cues" / "test.tsv").read_text() == "not generated again"

        write_scores(tmp_path / "other", degrees, exits={1: 4, 2: 3, 3: 2})
        broken = quickstart(SEED="2", STAND_IN=str(tmp_path / "other"))
        assert broken.returncode == 1
        assert len([line for line in broken.stderr.splitlines() if "error" in line]) == 1
        assert (run_dir / "calls").read_text().splitlines() == [
            f"Cues {run_dir}/raw {run_dir}/vocab {seed}" for seed in (1, 1, 2)
        ]

    def test_takes_no_argument(self, quickstart):
        run = quickstart("RTE")
        assert run.returncode == 1 and run.stderr.startswith("quickstart.sh: error: takes no argument")

    def test_help(self, quickstart):
        run = quickstart("--help")
        assert run.returncode == 0 and "RUN_DIR" in run.stdout
