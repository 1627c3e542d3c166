"""Tests of ``palbert compare``: differences between runs, and known intervals."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.report import compare
from tests.fixtures.recorded_runs import of_fractions, write_scores


@pytest.fixture
def scored(tmp_path):
    """scored(run, labels, *predictions of seeds, rule) writes files as scoring does and returns the run's folder."""

    def write(run: str, labels: list, *seeds: list, rule: str = "fixed:6", first_index: int = 0, **fields):
        for seed, predictions in enumerate(seeds, start=1):
            folder = tmp_path / run / f"seed{seed}" / "scores" / "valid"
            folder.mkdir(parents=True)
            lines = [f"index\tlabel\t{rule}.prediction\t{rule}.exit_layer"]
            lines += [f"{i}\t{label}\t{answer}\t6" for i,
                      (label, answer) in enumerate(zip(labels, predictions), first_index)]
            (folder / "predictions.tsv").write_text("\n".join(lines) + "\n")
            write_scores(folder, {rule: [6] * len(predictions)}, 6, **fields)
        return str(tmp_path / run)

    return write


def run(capsys, *arguments, rule="fixed:6"):
    compare.main([rule, rule, "--resamples", "200", *arguments])
    return [line.split("  ") for line in capsys.readouterr().out.splitlines()[1:]]


def cells(line):
    return [cell.strip() for cell in line if cell]


def test_equal_predictions_differ_by_nothing(scored, capsys):
    runs = [scored(name, [0, 1] * 20, [0, 1, 1, 1] * 10) for name in "ab"]
    line, = run(capsys, "--runs", "SST-2", *runs)
    assert cells(line) == ["SST-2", "40", "1, 1", "75.00", "75.00", "+0.00", "+0.00 to +0.00"]


def test_always_right_against_always_wrong_is_certain(scored, capsys):
    labels = ["entailment", "not_entailment"] * 10
    runs = scored("a", labels, labels), scored("b", labels, labels[::-1])
    line, = run(capsys, "--runs", "RTE", *runs)
    assert cells(line)[3:] == ["100.00", "0.00", "+100.00", "+100.00 to +100.00"]


def test_the_interval_is_that_of_paired_differences(scored):
    """Of 400 examples, 40 are right in A alone and 20 in B alone.

    The difference per example has mean 0.05 and variance 0.15 - 0.05², so that the interval is
    5 ± 1.96 · 100 √(0.1475 / 400) points: 1.24 to 8.76.
    """
    right_a = [1] * 340 + [1] * 40 + [0] * 20
    right_b = [1] * 340 + [0] * 40 + [1] * 20
    task = packaged_task("SST-2")
    a, b = (compare.read_answers(Path(scored(name, [1] * 400, answers)), "valid", "fixed:6", task)
            for name, answers in (("a", right_a), ("b", right_b)))
    found = compare.compare("SST-2", a, b, 2000, 0)
    assert found.a - found.b == pytest.approx(5)
    assert found.interval == pytest.approx((1.24, 8.76), abs=0.4)
    again = compare.compare("SST-2", a, b, 2000, 0)
    assert np.array_equal(found.differences, again.differences), "seeded"


def test_seeds_of_an_example_stay_together(scored, capsys):
    """Two seeds are right on opposite halves, so that every resample of whole examples scores 50 %."""
    labels = [1] * 20
    runs = scored("a", labels, [1] * 10 + [0] * 10, [0] * 10 + [1] * 10), scored("b", labels, [0] * 20)
    line, = run(capsys, "--runs", "SST-2", *runs)
    assert cells(line)[2:] == ["2, 1", "50.00", "0.00", "+50.00", "+50.00 to +50.00"]


def test_regression_takes_the_official_score_and_counts_repeated_examples(scored):
    rng = np.random.default_rng(3)
    labels, answers = rng.random(30).round(2) * 5, rng.random(30)
    task = packaged_task("STS-B")
    given = compare.read_answers(Path(scored("a", labels.tolist(), answers.tolist())), "valid", "fixed:6", task)
    places = np.array([0, 0, 0, 3, 4, 5, 9, 9])
    expected = (pearsonr(labels[places], answers[places]).statistic
                + spearmanr(labels[places], answers[places]).statistic) / 2
    weights = torch.from_numpy(np.bincount(places, minlength=30)).double().unsqueeze(0)
    assert compare.mean_score(given, weights).item() == pytest.approx(100 * expected)


@pytest.mark.parametrize("earlier", [False, True])
def test_a_kept_regression_is_compared_with_the_folder_it_is_of(make_run, keep_run, earlier, capsys):
    """Its labels are fractions, which ``earlier`` files have in float32."""
    folder, other = (make_run(name, "STS-B", "fixed:4", change=partial(of_fractions, step=step))
                     for name, step in (("palbert", 0.9), ("other", 0.9 + 1e-5)))
    path = keep_run(folder, earlier)
    for pair in ((path, folder), (folder, path)):
        line, = run(capsys, "--runs", "STS-B", *map(str, pair), rule="fixed:4")
        assert [cell.replace("-", "+") for cell in cells(line)[5:]] == ["+0.00", "+0.00 to +0.00"]
    with pytest.raises(UserError, match="have other examples or labels"):
        run(capsys, "--runs", "STS-B", str(path), str(other), rule="fixed:4")


def test_a_seed_without_predictions_is_named(scored, capsys):
    runs = [scored(name, [0, 1], [0, 1], [1, 1]) for name in "ab"]
    Path(runs[1], "seed2/scores/valid/predictions.tsv").unlink()
    compare.main(["fixed:6", "fixed:6", "--resamples", "2", "--runs", "SST-2", *runs])
    said = capsys.readouterr()
    assert said.err == f"{runs[1]}/seed2/scores/valid is not scored yet: left out\n" and "  2, 1  " in said.out


def test_several_tasks_are_averaged(scored, capsys):
    labels = [0, 1] * 10
    runs = {task: (scored(f"{task}-a", labels, labels), scored(f"{task}-b", labels, wrong))
            for task, wrong in (("SST-2", [1, 0] * 10), ("QQP", labels))}
    lines = run(capsys, *(part for task, pair in runs.items() for part in ("--runs", task, *pair)))
    assert [cells(line)[0] for line in lines] == ["SST-2", "QQP", "mean of tasks"]
    assert cells(lines[2])[1:] == ["40", "100.00", "50.00", "+50.00", "+50.00 to +50.00"]


@pytest.fixture
def own_task(tmp_path):
    """own_task(metric) writes a task file whose labels are those of train and returns its path."""

    def write(metric: str) -> str:
        path = tmp_path / "tickets.toml"
        path.write_text('name = "tickets"\nsentences = ["text"]\nlabel = "kind"\nlabels = "from train"\n'
                        f'metric = "{metric}"\n[splits]\ntrain = "train.csv"\n')
        return str(path)

    return write


def test_labels_from_train_are_those_that_occur(scored, own_task, capsys):
    runs = scored("a", ["a b", "ü", "7"] * 4, ["a b", "ü", "ü"] * 4), scored("b", ["a b", "ü", "7"] * 4, ["c"] * 12)
    line, = run(capsys, "--runs", own_task("accuracy"), *runs)
    assert cells(line)[:5] == ["tickets", "12", "1, 1", "66.67", "0.00"]


def test_a_top_5_accuracy_needs_kept_records(scored, own_task, capsys):
    with pytest.raises(UserError, match="the score of tickets does not follow from the classes in predictions.tsv"):
        run(capsys, "--runs", own_task("top5_accuracy"), *[scored("a", ["x"], ["y"])] * 2)


WRONG = {
    "no .*seed.*: score that run": lambda write: ("SST-2", "nowhere", "nowhere"),
    "unknown task 'SST2'": lambda write: ("SST2", "nowhere", "nowhere"),
    "has no exit rule 'fixed:6': choose from q_exit:0": lambda write: ("SST-2", *[write("a", [1], [1], rule="q_exit:0")]
                                                                       * 2),
    "'2' is no label of SST-2 .0, 1.": lambda write: ("SST-2", *[write("a", [1], [2])] * 2),
    "'' is no label of SST-2": lambda write: ("SST-2", *[write("a", [""], [1])] * 2),
    "have other examples or labels": lambda write: ("SST-2", write("a", [1], [1]), write("b", [0], [1])),
    "scores.jsonl: of the task CoLA, not SST-2": lambda write: ("SST-2", *[write("a", [1], [1], task="CoLA")] * 2),
    "has the score 1.0000 as SST-2, and scores.jsonl beside it 0.0000":
        lambda write: ("SST-2", *[write("a", [1], [1], metrics={"matthews": 0.0, "score": 0.0})] * 2),
    "a and .*b have other examples": lambda write: ("SST-2", write("a", [1], [1]), write("b", [1], [1], first_index=1)),
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_mistake_gives_one_line(scored, capsys, reason):
    with pytest.raises(UserError, match=reason) as stop:
        run(capsys, "--runs", *WRONG[reason](scored))
    assert "\n" not in str(stop.value)


def test_no_resamples_give_one_line(scored, capsys):
    with pytest.raises(UserError, match="--resamples 0: at least 1"):
        run(capsys, "--runs", "SST-2", *[scored("a", [1], [1])] * 2, "--resamples", "0")
