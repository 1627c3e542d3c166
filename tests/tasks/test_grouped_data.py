"""Tests of rows in groups: data, scores, thresholds, reports, kept records."""

import csv
import json
import random

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.analysis.recorded_split import read_record
from fairseq_palbert.errors import UserError
from fairseq_palbert.report.claims import Bootstrap, ordering
from fairseq_palbert.report.cli import main as report
from fairseq_palbert.report.kept import KeptSeed, KeptSplit, read_kept, write_kept
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.report.task import Task
from fairseq_palbert.tasks.sentence_task import SentenceConfig, SentenceTask
from preprocess.data import main
from tests.fixtures.checkpoints import save_checkpoint

TASK = """
name = "cloze"
sentences = ["text"]
label = "right"
labels = ["no", "yes"]
metric = "{metric}"
score = "mean"
positive = "yes"
[groups]
column = "query"
answer = "{answer}"
candidate = "entity"
[splits]
train = "train.tsv"
valid = "valid.tsv"
test = {{ file = "test.tsv", labelled = false }}
"""
METRIC = {"best": "token_f1, exact_match", "all": "f1, exact_match"}
ROWS = {"train": 60, "valid": 40, "test": 9}


def write_rows(path, rows: int, seed: int) -> None:
    """Writes queries of 1 to 5 rows, of which the first is right, and shuffles the rows of all queries."""
    draw, lines, query = random.Random(seed), [], 0
    while len(lines) < rows:
        for place in range(min(draw.randint(1, 5), rows - len(lines))):
            text = " ".join(f"w{draw.randrange(30)}" for _ in range(draw.randint(1, 9)))
            lines.append([text, f"q {query}", draw.choice(["The Ada", "Ada L.", "Bob", "an Ada Bob"]),
                          "yes" if place == 0 else "no"])
        query += 1
    draw.shuffle(lines)
    path.write_text("".join("\t".join(row) + "\n" for row in [["text", "query", "entity", "right"], *lines]))


@pytest.fixture(scope="module")
def made(write_vocabulary, tmp_path_factory):
    """made("best") returns the folder with the task file, its raw rows and data/cloze."""
    folders = {}

    def make(answer: str):
        if answer not in folders:
            folder = folders[answer] = tmp_path_factory.mktemp(answer)
            write_vocabulary("bert", folder / "vocab")
            (folder / "cloze.toml").write_text(TASK.format(answer=answer, metric=METRIC[answer]))
            for seed, (split, rows) in enumerate(ROWS.items()):
                write_rows(folder / f"{split}.tsv", rows, seed)
            main([str(folder / "cloze.toml"), "--vocab", str(folder / "vocab"), "--out", str(folder / "data")])
        return folders[answer]

    return make


def task_of(folder, **options) -> SentenceTask:
    options = {"valid_subset": "valid", "ignore_unused_valid_subsets": False, "seed": 1, **options}
    return SentenceTask.setup_task(OmegaConf.structured(SentenceConfig(data=str(folder / "data" / "cloze"), **options)))


def raw_rows(folder, split: str) -> list[dict[str, str]]:
    with open(folder / f"{split}.tsv", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("split", ROWS)
def test_the_folder_has_every_row_s_group(made, split):
    folder = made("best")
    loaded = task_of(folder).load_dataset(split).split
    queries = [row["query"] for row in raw_rows(folder, split)]
    first = list(dict.fromkeys(queries))
    assert loaded.groups.tolist() == [first.index(query) for query in queries]
    assert (loaded.text_scores is None) == (split == "test")
    assert f"group/{split}.jsonl" in json.loads((folder / "data/cloze/glue.json").read_text())["files"]


def test_text_scores_are_only_of_tasks_that_score_them(made):
    assert task_of(made("all")).load_dataset("valid").split.text_scores is None


@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_the_holdout_splits_no_group(made, fraction):
    task = task_of(made("best"), holdout_fraction=fraction)
    parts = {split: task.load_dataset(split) for split in ("train", "gate", "calibration", "holdout")}
    groups = {split: set(dataset.split.groups[dataset.ids].tolist()) for split, dataset in parts.items()}
    assert not groups["train"] & groups["holdout"] and not groups["gate"] & groups["calibration"]
    assert groups["gate"] | groups["calibration"] == groups["holdout"]
    assert len(groups["holdout"]) == round(fraction * len(groups["train"] | groups["holdout"]))
    assert sorted(np.concatenate([parts["train"].ids, parts["holdout"].ids])) == list(range(60))


DAMAGE = {
    "changed since it was written": lambda lines: [lines[0], *lines],
    "line 2: .*and should be a text": lambda lines: [lines[0], '{"group": 3, "candidate": "a"}', *lines[2:]],
    "line 1: has no candidate": lambda lines: ['{"group": "q", "candidate": null}', *lines[1:]],
    "have 40 and 39 rows": lambda lines: lines[1:],
    "line 3: not JSON": lambda lines: [*lines[:2], "{", *lines[3:]],
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_damaged_groups_give_one_line(made, reason, monkeypatch):
    folder = made("best")
    path = folder / "data" / "cloze" / "group" / "valid.jsonl"
    whole = path.read_text()
    path.write_text("\n".join(DAMAGE[reason](whole.splitlines())) + "\n")
    if "changed" not in reason:
        monkeypatch.setattr("fairseq_palbert.tasks.provenance.Provenance.check", lambda *_: None)
    try:
        with pytest.raises(UserError, match=reason) as error:
            task_of(folder).load_dataset("valid")
    finally:
        path.write_text(whole)
    assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def scored(made):
    """scored("best") returns (the folder, the scores of its run, which hold a record of the validation split)."""
    from fairseq_palbert.evaluation.cli import main as evaluate

    def score(answer: str):
        folder = made(answer)
        out = folder / "runs" / "palbert" / "cloze" / "seed1" / "scores" / "valid"
        if not out.exists():
            save_checkpoint(folder / "checkpoint.pt", folder / "data" / "cloze", "cloze")
            evaluate([str(folder / "checkpoint.pt"), "--data", str(folder / "data/cloze"), "--exit", "q_exit:0.5",
                      "--exit", "fixed:2", "--exit", "sampling:1", "--out", str(out), "--record"])
        return folder, out

    return score


def by_hand(answer: str, rows: list[dict], chosen: list[bool]) -> float:
    """Returns the score of these answers, computed from the raw rows."""
    queries = {row["query"] for row in rows}
    if answer == "all":
        right = [(row["right"] == "yes") == yes for row, yes in zip(rows, chosen)]
        exact = [all(ok for row, ok in zip(rows, right) if row["query"] == query) for query in queries]
        hits = sum(yes and ok for yes, ok in zip(chosen, right))
        f1 = 2 * hits / (sum(chosen) + sum(row["right"] == "yes" for row in rows))
        return (f1 + np.mean(exact)) / 2
    words = {"The Ada": ["ada"], "Ada L.": ["ada", "l"], "Bob": ["bob"], "an Ada Bob": ["ada", "bob"]}
    exact, f1 = [], []
    for query in queries:
        said, = [words[row["entity"]] for row, yes in zip(rows, chosen) if yes and row["query"] == query]
        gold = [words[row["entity"]] for row in rows if row["query"] == query and row["right"] == "yes"]
        exact.append(said in gold)
        f1.append(max([2 * len({*said} & {*one}) / (len(said) + len(one)) for one in gold]))
    return (np.mean(exact) + np.mean(f1)) / 2


@pytest.mark.parametrize("answer", METRIC)
def test_scores_are_those_of_the_raw_rows(scored, answer):
    folder, out = scored(answer)
    rows = raw_rows(folder, "valid")
    with open(out / "predictions.tsv", encoding="utf-8") as file:
        predicted = list(csv.DictReader(file, delimiter="\t"))
    for row in map(json.loads, (out / "scores.jsonl").read_text().splitlines()):
        chosen = [answers[f"{row['exit']}.prediction"] == "yes" for answers in predicted]
        assert row["metrics"]["score"] == pytest.approx(by_hand(answer, rows, chosen), abs=1e-12)
        layers = [int(answers[f"{row['exit']}.exit_layer"]) for answers in predicted]
        assert row["groups"] == len({row["query"] for row in rows})
        assert row["layers_per_group"] == pytest.approx(sum(layers) / row["groups"])
        assert "expected_score" not in row["metrics"]


def test_the_criterion_s_sums_give_the_same_and_training_has_none_of_groups(scored):
    from fairseq import checkpoint_utils

    folder, out = scored("best")
    (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(folder / "checkpoint.pt")],
                                                                        {"data": str(folder / "data/cloze")})
    dataset, criterion = task.load_dataset("valid"), task.build_criterion(cfg.criterion).eval()
    batches = [dataset.collater([dataset[i] for i in range(start, len(dataset), 7)]) for start in range(7)]
    with torch.no_grad():
        logs = [criterion(model.eval(), batch)[2] for batch in batches]
        assert "statistics" not in criterion.train()(model, batches[0])[2]
    row = json.loads((out / "scores.jsonl").read_text().splitlines()[0])
    assert task.metrics(sum(log["statistics"] for log in logs)) == pytest.approx(row["metrics"], abs=1e-6)


def test_sweep_and_thresholds_replay_the_record(scored, tmp_path, capsys):
    folder, out = scored("best")
    record = out / "record.safetensors"
    sweep.main([str(record), "--rule", "fixed", "--out", str(tmp_path / "sweep")])
    swept = [json.loads(line) for line in (tmp_path / "sweep" / "sweep.jsonl").read_text().splitlines()]
    fixed = json.loads((out / "scores.jsonl").read_text().splitlines()[1])
    assert next(row for row in swept if row["exit"] == "fixed:2")["metrics"] == pytest.approx(fixed["metrics"])
    choose_threshold.main([str(record), "--budget", "2", "--rule", "q_exit", "--out", str(tmp_path / "thresholds")])
    row, = map(json.loads, (tmp_path / "thresholds" / "thresholds.jsonl").read_text().splitlines())
    assert row["promised"]["groups"] + row["reported"]["groups"] == fixed["groups"], "no group is in both parts"
    with pytest.raises(UserError, match="--confidence 0.9: a guarantee is for independent examples"):
        choose_threshold.main([str(record), "--budget", "2", "--confidence", "0.9", "--out", str(tmp_path / "none")])


def test_a_bootstrap_draws_whole_groups_and_sampling_is_left_out(scored):
    _, out = scored("best")
    run, = read_runs([out.parents[2]], "valid")["cloze"]
    task = Task("cloze", [run])
    weights = []
    Bootstrap(task, 3)(lambda drawn: (weights.append(drawn), drawn.sum(1))[1])
    assert weights[0].shape == (4, run.recorded.units) and run.recorded.units < 40
    assert ordering(task, run, Bootstrap(task, 3)) == []


def test_a_report_gives_layers_per_group_and_leaves_sampling_out(scored, tmp_path):
    _, out = scored("best")
    report([str(out.parents[2]), "--out", str(tmp_path), "--resamples", "5"])
    page = (tmp_path / "README.md").read_text()
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    q_exit = next(line for line in page.splitlines() if "`q_exit:0.5`" in line and "palbert" in line)
    assert "layers a group" in page and f"{rows[0]['layers_per_group']:.2f}" in q_exit
    assert "| cloze | palbert | – (none of groups) | – |" in " ".join(page.split())


def test_kept_records_have_their_groups(scored, tmp_path):
    recorded = read_record(scored("best")[1] / "record.safetensors")
    clock = {"exit": "fixed:2", "seconds": 1.0, "batch_size": 1, "device": "cpu", "dtype": "float32"}
    seed = KeptSeed("fairseq-train", {"valid": KeptSplit(recorded, [clock])})
    write_kept(tmp_path / "kept.safetensors", {"cloze": {"seed1": seed}})
    found = read_kept(tmp_path / "kept.safetensors")["cloze"]["seed1"].splits["valid"].recorded
    assert found.groups.equal(recorded.groups) and found.text_scores.equal(recorded.text_scores)


def test_data_without_groups_has_no_group_folder(made):
    folder = made("best")
    (folder / "plain.toml").write_text((folder / "cloze.toml").read_text().replace('"cloze"', '"plain"').replace(
        METRIC["best"], "accuracy").split("[groups]")[0] + '[splits]\ntrain = "train.tsv"\n')
    main([str(folder / "plain.toml"), "--vocab", str(folder / "vocab"), "--out", str(folder / "data")])
    assert sorted(path.name for path in (folder / "data/plain").iterdir()) == ["glue.json", "input0", "label"]
