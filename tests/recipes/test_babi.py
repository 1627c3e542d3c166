"""Tests of recipes/babi.sh: its training and its table of tasks."""

import json
from pathlib import Path

import pytest

from fairseq_palbert.definitions.packaged import find_task
from fairseq_palbert.errors import UserError
from preprocess import babi as reader
from recipes import babi
from tests.fixtures import recorded_runs

STORY = "1 Mary moved to the hall.\n2 Where is Mary?\thall\t1\n3 Mary moved to the attic.\n4 Where is Mary?\t{}\t3\n"
FIRST = "1 single supporting fact"


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Replaces training and scoring; returns the list in which they note their settings and exit rules.

    Q-exit answers hall, at layers 1 and 2 in turn; the last of 3 layers answers attic.
    """
    for task in reader.TASKS:
        for split in reader.SPLITS:
            name = "single-supporting-fact" if task == 1 else "lists"
            (tmp_path / f"qa{task}_{name}_{split}.txt").write_text(STORY.format("hall" if task == 1 else "attic"))
    noted = []

    def train(settings) -> None:
        noted.append(settings)
        recorded_runs.write_scores(Path(settings.run_dir) / f"seed{settings.seeds[0]}" / "scores" / "valid",
                                   {"q_exit:0.5": [1, 3]}, depth=3)

    def score(words: list[str]) -> None:
        folder = Path(words[words.index("--out") + 1])
        rules = [word.removeprefix("--exit=") for word in words if word.startswith("--exit=")]
        noted.append(rules)
        questions = [json.loads(line) for line in open(folder.parents[2] / "raw" / "test.jsonl")]
        layers = dict(zip(rules, ([1 + n % 2 for n in range(len(questions))], [3] * len(questions))))
        recorded_runs.write_scores(folder, layers, depth=3)
        lines = [["index", "label"] + [f"{rule}.{what}" for rule in rules for what in ("prediction", "exit_layer")]]
        for n, row in enumerate(questions):
            lines.append([str(n), row["answer"], "hall", str(layers[rules[0]][n]), "attic", "3"])
        (folder / "predictions.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))

    monkeypatch.setattr(babi, "run_experiment", train)
    monkeypatch.setattr(babi.evaluation, "main", score)
    monkeypatch.setenv("BABI_DIR", str(tmp_path))
    monkeypatch.setenv("RUN_DIR", str(tmp_path / "run"))
    return noted


def test_the_table_by_task(stand_in, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEED", "3")
    monkeypatch.setenv("LR", "0.5")
    babi.main([])
    settings, rules = stand_in
    assert (settings.arch, settings.pretrained) == ("palbert_albert_tiny", "none")
    assert (settings.seeds, settings.lr) == ([3], 0.5)
    assert settings.extra_train_flags == ["--encoder-relative-buckets", "32"]
    assert find_task(settings.task).labels == ("attic", "hall")
    assert rules == ["q_exit:0.5", "fixed:3"]
    rows = {row["task"]: row for row in map(json.loads, open(tmp_path / "run" / "results" / "tasks.jsonl"))}
    assert len(rows) == 21 and {row["questions"] for name, row in rows.items() if name != "all"} == {2}
    first, second, total = rows[FIRST], rows["2 lists"], rows["all"]
    assert (first["accuracy"], first["last_layer"], first["usual"]) == (1, 0, 1)
    assert (second["accuracy"], second["last_layer"], second["usual"]) == (0.5, 0.5, 0.5)
    assert (first["mean_exit"], first["sd_exit"]) == (1.5, 0.5)
    assert (total["questions"], total["accuracy"], total["last_layer"]) == (40, 21 / 40, 19 / 40)
    assert f"| {FIRST} | 100.0 | 1.50 (0.50) | 0.0 | 100.0 |" in capsys.readouterr().out
    assert f"| {FIRST} | 100.0 |" in (tmp_path / "run" / "results" / "README.md").read_text()


def test_a_second_run_scores_nothing_again(stand_in, tmp_path):
    babi.main([])
    results = {path: path.read_bytes() for path in (tmp_path / "run" / "results").iterdir()}
    babi.main([])
    assert [type(step).__name__ for step in stand_in] == ["Settings", "list", "Settings"]
    assert all(path.read_bytes() == content for path, content in results.items())


def test_the_folder_has_to_be_named(stand_in, monkeypatch):
    monkeypatch.delenv("BABI_DIR")
    with pytest.raises(UserError, match="in BABI_DIR=: set it to the folder of one language and size of bAbI"):
        babi.main([])
