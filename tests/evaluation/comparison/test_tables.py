"""The tables of a report, number by number."""

import pytest

from fairseq_palbert.evaluation.comparison import tables
from fairseq_palbert.evaluation.comparison.sentences import hardest_and_easiest, plain
from fairseq_palbert.evaluation.comparison.task import examples
from fairseq_palbert.evaluation.measures import errors
from fairseq_palbert.evaluation.records import posterior, predictions
from fairseq_palbert.exits.registry import parse_rule

METHODS = {"palbert": ["q_exit:0.5", "expectation", "fixed:4"], "pabee": ["patience:1", "fixed:4"], "vanilla": ["fixed:4"]}


def cells(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_usual_settings(make_task):
    task = make_task("SST-2", METHODS)
    header, _, q_exit, *_ = cells(tables.usual_settings(task))
    first, second = (point.row for point in task.runs[0].points(task.runs[0].rules[0]))
    found = dict(zip(header, q_exit))
    assert (found["method"], found["exit rule"], found["seeds"]) == ("palbert", "`q_exit:0.5`", "2")
    for name, value in (("score", lambda row: 100 * row["metrics"]["score"]), ("mean exit", lambda row: row["mean_exit"]),
                        ("speed-up", lambda row: 4 / row["mean_exit"])):
        a, b = value(first), value(second)
        assert found[name] == f"{(a + b) / 2:.2f} ± {abs(a - b) / 2**0.5:.2f}"
    assert "ECE, %" not in tables.usual_settings(make_task("STS-B", METHODS))


def test_the_confidence_of_a_mixture_is_its_own(make_task):
    run = make_task("SST-2", METHODS).runs[0]
    p = posterior(run.recorded).unsqueeze(-1)
    mixture = (p * run.recorded.recording.logits.double().softmax(-1)).sum(0)
    assert examples(run, parse_rule("expectation")).confidences[0].numpy() == pytest.approx(mixture.amax(-1).numpy())
    at_last = run.recorded.recording.logits[-1].double().softmax(-1).amax(-1)
    assert examples(run, parse_rule("fixed:4")).confidences[0].numpy() == pytest.approx(at_last.numpy())


def test_one_seed_has_no_deviation_and_what_was_not_timed_is_left_open(make_task):
    task = make_task("SST-2", {"palbert": ["q_exit:0.5"]}, seeds=[1])
    header, _, line = cells(tables.usual_settings(task))
    assert "±" not in "".join(line) and dict(zip(header, line))["speed-up"] == tables.NONE


def test_matched_cost_has_every_rule_that_fits(make_task):
    task = make_task("SST-2", METHODS)
    lines = cells(tables.matched_cost(task))[2:]
    rules = {method: [rule for name, rule, *_ in lines if name == method] for method in METHODS}
    classes = ["`fixed`", "`patience`", "`entropy`", "`confidence`"]
    assert rules == {"palbert": [classes[0], "`q_exit`", *classes[1:]], "pabee": classes, "vanilla": classes}
    half = task.static["vanilla"].seeds
    expected = sum(points[1].row["metrics"]["score"] for points in half) / 2  # two of four layers
    assert float(lines[-4][3].split(" ")[0]) == pytest.approx(100 * expected, abs=1)


def test_differences_at_matched_cost(make_task):
    lines = cells(tables.matched_differences(make_task("SST-2", METHODS), 40))[2:]
    assert [line[:2] for line in lines] == [
        ["palbert `q_exit`", "palbert `fixed`"], ["pabee `patience`", "pabee `fixed`"],
        ["palbert `q_exit`", "pabee `patience`"], ["palbert `q_exit`", "vanilla `fixed`"]]
    value, low, _, high = lines[0][3].replace("(", "").replace(")", "").split(" ")
    assert float(low) <= float(value) <= float(high)


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
