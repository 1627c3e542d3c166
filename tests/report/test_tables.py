"""Tests of the tables of a report, number by number."""

from dataclasses import replace

import pytest
import torch

from fairseq_palbert.analysis.measures import errors
from fairseq_palbert.analysis.records import posterior, predictions
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.report import tables
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.report.sentences import hardest_and_easiest
from fairseq_palbert.report.task import Task, examples
from fairseq_palbert.report.thresholds import BUDGETS, setting
from fairseq_palbert.tables import plain

METHODS = {"palbert": ["q_exit:0.5", "expectation", "fixed:4"], "pabee": ["patience:1", "fixed:4"],
           "vanilla": ["fixed:4"]}


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_usual_settings(make_task):
    task = make_task("SST-2", METHODS)
    header, _, q_exit, *_ = cells(tables.usual_settings(task))
    first, second = (point.row for point in task.runs[0].points(task.runs[0].rules[0]))
    found = dict(zip(header, q_exit))
    assert (found["method"], found["exit rule"], found["seeds"]) == ("palbert", "`q_exit:0.5`", "2")
    for name, value in (("score", lambda row: 100 * row["metrics"]["score"]),
                        ("mean exit", lambda row: row["mean_exit"])):
        a, b = value(first), value(second)
        assert found[name] == f"{(a + b) / 2:.2f} ± {abs(a - b) / 2**0.5:.2f}"
    assert "ECE, %" not in tables.usual_settings(make_task("STS-B", METHODS | {"pabee": ["patience:1:0.3"]}))


def test_the_confidence_of_a_mixture_is_its_own(make_task):
    run = make_task("SST-2", METHODS).runs[0]
    p = posterior(run.recorded).unsqueeze(-1)
    mixture = (p * run.recorded.recording.logits.double().softmax(-1)).sum(0)
    assert examples(setting(run, "expectation", [parse_rule("expectation")] * 2,
                            False)).confidences[0].numpy() == pytest.approx(mixture.amax(-1).numpy())
    at_last = run.recorded.recording.logits[-1].double().softmax(-1).amax(-1)
    assert examples(setting(run, "fixed", [parse_rule("fixed:4")] * 2,
                            False)).confidences[0].numpy() == pytest.approx(at_last.numpy())


def test_one_seed_has_no_deviation(make_task):
    task = make_task("SST-2", {"palbert": ["q_exit:0.5"]}, seeds=[1])
    assert "±" not in tables.usual_settings(task)


def test_at_chosen_thresholds_every_budget_has_its_line(make_task):
    task = make_task("SST-2", METHODS, calibrated=True)
    lines = cells(tables.chosen_thresholds(task))[2:]
    assert [line[:3] for line in lines] == [[method, budget, f"`{rule}`"] for method, rules in (
        ("palbert", ["q_exit", "entropy"]), ("pabee", ["patience", "entropy"])) for rule in rules for budget in BUDGETS]
    one = task.chosen["palbert"]["q_exit", "N/2"]
    first, second = one.rows
    line = next(line for line in lines if line[:3] == ["palbert", "N/2", "`q_exit`"])
    assert line[3] == one.thresholds
    for text, value in zip(line[4:], (lambda row: 100 * row["metrics"]["score"], lambda row: row["mean_exit"],
                                      lambda row: row["sd_exit"], lambda row: 4 / row["mean_exit"]), strict=True):
        a, b = value(first), value(second)
        assert text == f"{(a + b) / 2:.2f} ± {abs(a - b) / 2**0.5:.2f}"


def test_the_front_table_has_the_means_over_tasks_and_says_what_was_not_chosen(make_task):
    tasks = [make_task(name, methods, calibrated=name == "SST-2") for name, methods in (
        ("SST-2", METHODS), ("MRPC", {"palbert": ["q_exit:0.5"], "vanilla": ["fixed:4"]}))]
    _, _, *lines = cells(tables.front(tasks))
    assert [line[:2] for line in lines] == [
        ["mean of tasks", "palbert"], ["mean of tasks", "vanilla"], ["SST-2", "palbert"], ["SST-2", "pabee"],
        ["SST-2", "vanilla"], ["MRPC", "palbert"], ["MRPC", "vanilla"]]
    assert lines[5][3] == "0.5 (as scored)" and "scored" not in lines[2][3] and lines[6][2:4] == ["`fixed:4`", "–"]
    both = [sum(100 * row["metrics"]["score"] for row in task.main["palbert"].rows) / 2 for task in tasks]
    assert lines[0][4] == f"{sum(both) / 2:.2f}"


def test_the_mean_of_tasks_is_that_of_the_tasks_own_lines(make_run):
    """Seed 1 exits at layer 1, seed 2 at the last; the tasks have the same answers."""
    for seed, halting in ((1, 9.0), (2, -9.0)):
        def change(recorded, halting=halting):
            logits = torch.full_like(recorded.recording.halting_logits, halting)
            return replace(recorded, recording=replace(recorded.recording, halting_logits=logits))

        folders = [make_run("palbert", task, "q_exit:0.5", halts=True, seeds=[seed], change=change)
                   for task in ("SST-2", "RTE")]
    tasks = [Task(name, runs) for name, runs in read_runs(folders, "valid").items()]
    _, _, mean, *lines = cells(tables.front(tasks))
    assert {line[7] for line in lines} == {"2.50 ± 2.12"}
    for column in range(4, 8):
        of_tasks = [float(line[column].split()[0]) for line in lines]
        assert float(mean[column]) == pytest.approx(sum(of_tasks) / 2, abs=0.01)


def test_claims_stand_in_three_tables_and_without_calibration_in_two(make_task):
    methods = METHODS | {"static2": ["fixed:4"]}
    tasks = [make_task(name, methods, calibrated=True) for name in ("SST-2", "MRPC")]
    header, _, *lines = cells(tables.depth_is_earned(tasks, 20))
    assert header[5:] == ["− fixed exit, same depth", "− static2, 4 layers", "− vanilla, 4 layers"]
    assert [line[:2] for line in lines] == [[name, "palbert"] for name in ("SST-2", "MRPC", "mean of tasks")]
    assert lines[0][3] == ", ".join(f"{row['sd_exit']:.2f}" for row in tasks[0].main["palbert"].rows)
    header, _, *lines = cells(tables.areas(tasks, 20))
    assert header[3:] == ["− `patience`", "− `entropy`", "− `fixed`"] and len(lines) == 3
    header, _, *lines = cells(tables.orderings(tasks, 20))
    assert len(lines) == 3 and {line[-1] for line in lines} <= {"yes", "no"}
    with_nothing = [make_task("RTE", {"pabee": ["patience:1"]})]
    assert tables.depth_is_earned(with_nothing, 20) is tables.areas(with_nothing,
                                                                    20) is tables.orderings(with_nothing, 20) is None
    assert tables.depth_is_earned([make_task("RTE", {"palbert": ["q_exit:0.5"]})], 20) is None


def test_the_hardest_err_most_and_the_easiest_least(make_task):
    task = make_task("SST-2", METHODS)
    hardest, easiest = (cells(part)[2:] for part in hardest_and_easiest(task, None).split("\n\n")[1::2])
    wrong = sum(errors(seed.recorded, predictions(seed.recorded.recording.logits)).mean(0)
                for run in task.adaptive for seed in run.seeds) / 4
    assert [line[2] for line in hardest] == [f"{value:.2f}" for value in sorted(wrong.tolist())[::-1][:5]]
    assert [line[2] for line in easiest] == [f"{value:.2f}" for value in sorted(wrong.tolist())[:5]]
    texts = [(f"no. {i}", "a|b") for i in range(60)]
    assert f"| {hardest[0][0]} | no. {hardest[0][0]} / a&#124;b |" in hardest_and_easiest(task, texts)


def test_text_stays_text():
    assert plain("It's *so* good, <b>_really_</b> $5 – é?") == (
        "It's &#42;so&#42; good, &#60;b&#62;&#95;really&#95;&#60;&#47;b&#62; &#36;5 &#8211; é?")
