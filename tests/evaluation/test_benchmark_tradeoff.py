"""Tests of recipes/benchmark_tradeoff.sh: score, mean exit and times of each threshold."""

import json
import re

import pytest
import torch

from fairseq_palbert.definitions.metrics import References, TaskMetrics
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Decisions
from fairseq_palbert.inference.engine import Workload
from recipes.benchmark.ours import random_network
from recipes.benchmark_tradeoff import main, measure, plot, settings, table
from recipes.timing import points

WORKLOAD = Workload([torch.tensor([0, 5 + i, 7, 2]) for i in range(20)])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return random_network(vocabulary=60, layers=3, hidden=64, outputs=2)


def test_a_name_is_the_rule_over_its_range_and_a_rule_is_itself(network):
    assert [rule.spec for rule in settings("fixed:2", network, WORKLOAD, 5)] == ["fixed:2"]
    assert [rule.spec for rule in settings("fixed", network, WORKLOAD, 5)] == ["fixed:1", "fixed:2", "fixed:3"]
    assert len(settings("q_exit", network, WORKLOAD, 5)) >= 5


@pytest.mark.parametrize("rule, reason", [("learned", "exit rule learned: "), ("fixed:4", "fixed:4"),
                                          ("quit", "unknown exit rule")])
def test_a_rule_that_does_not_fit_is_refused(network, rule, reason):
    with pytest.raises(UserError, match=reason):
        settings(rule, network, WORKLOAD, 5)


def test_rows_hold_what_was_decided_and_every_time(tmp_path):
    decided = Decisions(torch.tensor([[2., 1.], [1., 2.], [2., 1.], [2., 1.]]), torch.tensor([1, 2, 2, 3]))
    calls = []

    def decide() -> Decisions:
        calls.append(1)
        return decided

    metrics = TaskMetrics(packaged_task("SST-2"))
    references = References(torch.tensor([0, 1, 1, 0]))
    row, = measure({("palbert", "q_exit:0.5"): decide}, lambda decided: points(metrics, references, decided), 4,
                   rounds=3)
    assert len(calls) == 4 and len(row["milliseconds"]) == 3 and min(row["milliseconds"]) > 0
    assert (row["score"], row["mean_exit"], row["exit"], row["model"]) == (75, 2, "q_exit:0.5", "palbert")
    row["milliseconds"] = [4, 1, 2]
    assert "| palbert | q_exit:0.5 | 2.00 | 75.00 | 2.00 |" in " ".join(table([row]).split())
    plot(tmp_path / "plot.svg", [row, {**row, "milliseconds": [3], "score": 80}], "SST-2")
    assert "ms a sentence, packed" in (tmp_path / "plot.svg").read_text()


def test_a_row_for_every_threshold_of_every_model(toy, tmp_path, capsys):
    checkpoint, data = toy("RTE")
    main(["--model", "palbert", "q_exit", str(checkpoint), "--model", "last", "fixed:2", str(checkpoint), "--data",
          str(data), "--points", "3", "--rounds", "2", "--out", str(tmp_path / "out")])
    rows = [json.loads(line) for line in (tmp_path / "out" / "tradeoff.jsonl").read_text().splitlines()]
    assert [row["exit"] for row in rows if row["model"] == "last"] == ["fixed:2"]
    assert len(rows) >= 4 and all(len(row["milliseconds"]) == 2 for row in rows)
    assert rows[-1]["mean_exit"] == 2 and (tmp_path / "out" / "tradeoff.svg").exists()
    assert capsys.readouterr().out.count("| palbert |") == len(rows) - 1


def test_mistakes_are_told_in_a_line(toy, tmp_path):
    checkpoint, data = toy("RTE")
    for flags, said in ((["--rounds", "0"], "--rounds 0: at least 1"), (["--points", "0"], "--points 0: at least 1"),
                        (["--split", "test"], "test has no labels")):
        with pytest.raises(UserError, match=said):
            main(["--model", "palbert", "q_exit", str(checkpoint), "--data", str(data), "--out", str(tmp_path), *flags])


def twice(first: str, second: str, checkpoint, data, out) -> list[str]:
    """The flags for two models of one NAME."""
    models = [word for rule in (first, second) for word in ("--model", "static", rule, str(checkpoint))]
    return [*models, "--data", str(data), "--points", "3", "--rounds", "1", "--out", str(out)]


@pytest.mark.parametrize("first, second", [("fixed:2", "fixed:1"), ("q_exit", "fixed:1")])
def test_a_name_may_have_several_settings(toy, tmp_path, first, second):
    main(twice(first, second, *toy("RTE"), tmp_path))
    specs = [json.loads(line)["exit"] for line in (tmp_path / "tradeoff.jsonl").read_text().splitlines()]
    assert specs[-1] == second and len(set(specs)) == len(specs) >= 2


@pytest.mark.parametrize("first, second", [("fixed:2", "fixed:2"), ("q_exit:0.5", "q_exit:.50"), ("q_exit", "q_exit"),
                                           ("q_exit", "entropy"), ("fixed", "fixed:2"), ("fixed:2", "fixed")])
def test_a_name_has_no_setting_twice_and_one_rule_over_its_range(toy, tmp_path, first, second):
    said = f"--model static {second}: cannot be told apart from static {first}: give each model its own NAME"
    with pytest.raises(UserError, match=re.escape(said)):
        main(twice(first, second, *toy("RTE"), tmp_path / "out"))
    assert not (tmp_path / "out").exists()
