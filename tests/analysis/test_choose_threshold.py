"""Tests of ``palbert thresholds``: it picks on one part and reports on the other."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from fairseq_palbert.analysis.choose_threshold import main
from fairseq_palbert.analysis.contract import part_of, two_parts
from fairseq_palbert.analysis.describe import describe
from fairseq_palbert.analysis.recorded_split import RecordedSplit, write_record
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import RULES, parse_rule
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape
from tests.fixtures.recorded_runs import ORIGIN

EXAMPLES, DEPTH = 301, 4


def random_record(task="MRPC", split="valid", checkpoint="a", seed=0) -> RecordedSplit:
    """Returns a random record whose answers become better from layer to layer."""
    generator = torch.Generator().manual_seed(seed)
    classes, regression = len(packaged_task(task).labels), packaged_task(task).regression
    better = torch.arange(1.0, DEPTH + 1)[:, None, None]
    if regression:
        targets = 5 * torch.rand(EXAMPLES, dtype=torch.float64, generator=generator)
        logits = targets[:, None].float() + torch.randn(DEPTH, EXAMPLES, 1, generator=generator) / better
    else:
        targets = torch.randint(classes, (EXAMPLES,), generator=generator)
        logits = better * torch.nn.functional.one_hot(targets, classes) + torch.randn(
            DEPTH, EXAMPLES, classes, generator=generator)
    halting = torch.randn(DEPTH - 1, EXAMPLES, generator=generator)
    return RecordedSplit(
        split=split, task=packaged_task(task), rows=EXAMPLES,
        encoder=EncoderShape(9, 1, 2, 16, DEPTH, 4, 8, 1), heads=HeadsShape(logits.shape[-1], lambda_module="linear"),
        prior=None, origin={**ORIGIN, "checkpoint": {"path": "a.pt", "sha256": checkpoint}}, ids=torch.arange(EXAMPLES),
        lengths=torch.randint(1, 17, (EXAMPLES,), generator=generator), targets=targets,
        recording=Recording(halting, logits))


@pytest.fixture
def choose(tmp_path):
    """choose(record, options...) runs the command and returns the objects of thresholds.jsonl by rule."""

    def run(recorded: RecordedSplit, *options: str):
        write_record(tmp_path / "record.safetensors", recorded)
        main([str(tmp_path / "record.safetensors"), "--out", str(tmp_path / "out"), *map(str, options)])
        rows = [json.loads(line) for line in (tmp_path / "out" / "thresholds.jsonl").read_text().splitlines()]
        return {row["rule"]: row for row in rows}

    return run


@pytest.mark.parametrize("options", [["--budget", "2.5"], ["--max-drop", "0.05"],
                                     ["--budget", "2.5", "--confidence", "0.9"],
                                     ["--max-drop", "0.1", "--confidence", "0.9"]])
@pytest.mark.parametrize("task", ["MRPC", "STS-B"])
def test_every_rule_that_fits_has_a_threshold_and_two_sets_of_numbers(choose, task, options):
    recorded = random_record(task)
    rows = choose(recorded, *options)
    assert rows.keys() == set(RULES) - {"learned"} - ({"entropy", "confidence"} if task == "STS-B" else set())
    calibration, others = (part_of(recorded, places) for places in two_parts(EXAMPLES, 0.5, 0))
    full = parse_rule(f"fixed:{DEPTH}")
    for row in rows.values():
        rule = parse_rule(row["exit"])
        rule.check(recorded)
        assert row["fallback"] == (rule.name != row["rule"])
        for side, part in (("promised", calibration), ("reported", others)):
            expected = describe(part, rule, decisions(part, rule))
            assert expected.items() <= row[side].items()
            score = describe(part, full, decisions(part, full))["metrics"]["score"]
            assert row[side]["drop"] == pytest.approx(score - expected["metrics"]["score"], abs=1e-12)
        if options[0] == "--budget":
            assert row["promised"]["mean_exit"] <= 2.5
        else:
            assert row["promised"]["drop"] <= float(options[1]) + 1e-9
        if "--confidence" in options and not row["fallback"]:
            assert row["promised"]["risk"] <= row["contract"]["risk_limit"]


def test_confidence_has_a_temperature_a_layer(choose):
    rule = parse_rule(choose(random_record(), "--budget", "2", "--rule", "confidence")["confidence"]["exit"])
    assert len(rule.temperatures) == DEPTH - 1 and rule.temperatures != (1.0,) * (DEPTH - 1)


def test_the_reported_examples_do_not_touch_the_choice(choose):
    recorded = random_record()
    _, others = two_parts(EXAMPLES, 0.3, 7)
    targets, logits = recorded.targets.clone(), recorded.recording.logits.clone()
    targets[others] = 1 - targets[others]
    logits[:, others] *= 3
    spoilt = replace(recorded, targets=targets, recording=replace(recorded.recording, logits=logits))
    options = ["--max-drop", "0.02", "--calibration-fraction", "0.3", "--seed", "7"]
    before, after = choose(recorded, *options), choose(spoilt, *options)
    for name, row in before.items():
        assert row["exit"] == after[name]["exit"] and row["promised"] == after[name]["promised"]
    assert before["q_exit"]["reported"]["metrics"] != after["q_exit"]["reported"]["metrics"]


def test_another_split_of_the_same_model_to_pick_on(choose, tmp_path, capsys):
    holdout = random_record(split="holdout", seed=1)
    write_record(tmp_path / "holdout", holdout)
    row = choose(random_record(), "--budget", "2", "--rule", "q_exit", "--calibrate-on", tmp_path / "holdout")["q_exit"]
    rule = parse_rule(row["exit"])
    assert row["promised"]["examples"] == row["reported"]["examples"] == EXAMPLES
    assert describe(holdout, rule, decisions(holdout, rule)).items() <= row["promised"].items()
    assert "picked on 301 examples of holdout, reported on 301 others of valid" in capsys.readouterr().out
    with pytest.raises(UserError, match="of another checkpoint than"):
        choose(random_record(checkpoint="b"), "--budget", "2", "--calibrate-on", tmp_path / "holdout")


@pytest.mark.parametrize("picked, reported, refused", [
    ("holdout", "holdout", True), ("holdout", "calibration", True), ("gate", "train", True), ("valid", "valid", True),
    ("holdout", "valid", False), ("test", "calibration", False),
])
def test_no_row_is_picked_on_and_reported(choose, tmp_path, picked, reported, refused):
    write_record(tmp_path / "picked", random_record(split=picked))
    last = replace(part_of(random_record(split=reported), torch.arange(290, EXAMPLES)), split=reported)
    message = f"11 of its examples of {picked} are also in .*, of {reported}"
    with pytest.raises(UserError, match=message) if refused else nullcontext():
        choose(last, "--budget", "2", "--rule", "fixed", "--calibrate-on", tmp_path / "picked")


def test_the_table_says_what_is_guaranteed_and_what_fell_back(choose, capsys):
    row = choose(random_record(), "--max-drop", "0.1", "--confidence", "0.9", "--rule", "q_exit")["q_exit"]
    out = capsys.readouterr().out
    assert "guaranteed for each rule with probability 0.9: accuracy is expected to drop by at most 0.1." in out
    assert row["contract"] == {"max_drop": 0.1, "risk_limit": 0.1, "confidence": 0.9,
                               "guaranteed": "accuracy is expected to drop by at most 0.1"}
    assert choose(random_record(), "--budget", "2", "--rule", "expectation")["expectation"]["fallback"]
    out = capsys.readouterr().out
    assert "fixed:2 (no expectation keeps it)" in out and "guaranteed" not in out


@pytest.mark.parametrize("options, reason", [
    (["--budget", "0.5"], "--budget 0.5: give a mean number of layers, at least 1 and finite"),
    (["--max-drop", "-0.1"], "--max-drop -0.1: a part of 1"),
    (["--max-drop", "0.1", "--confidence", "1"], "--confidence 1: a probability between 0 and 1"),
    (["--max-drop", "0.1", "--confidence", "1.5"], "--confidence 1.5: a probability"),
    (["--max-drop", "0.001", "--confidence", "0.9"], "75 examples to test on could not show it"),
    (["--budget", "2", "--calibration-fraction", "0"], "301 examples are too few to split at 0"),
    (["--budget", "2", "--seed", "-1"], "--seed -1: at least 0"),
    (["--budget", "2", "--rule", "learned"], "learned: .*: choose from q_exit"),
])
def test_what_cannot_be_asked_is_one_line_and_nothing_is_left(choose, tmp_path, options, reason):
    with pytest.raises(UserError, match=reason):
        choose(random_record(), *options)
    assert not (tmp_path / "out").exists()


def test_a_split_without_labels_is_refused(choose):
    for options in (["--budget", "2"], ["--max-drop", "0.1"]):
        with pytest.raises(UserError, match="the split 'valid' has no labels to pick a threshold by"):
            choose(replace(random_record(), targets=None), *options)


@pytest.mark.parametrize("options", [[], ["--budget", "2", "--max-drop", "0.1"], ["--budget", "3_0"],
                                     ["--budget", "２"], ["--max-drop", "nan"],
                                     ["--budget", "2", "--calibrate-on", "x", "--calibration-fraction", "0.5"]])
def test_one_contract_in_ascii_digits_and_one_part_to_pick_on(choose, options):
    with pytest.raises(SystemExit) as error:
        choose(random_record(), *options)
    assert error.value.code == 2
