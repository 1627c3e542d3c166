"""Tests of ``palbert sweep``: every rule is replayed from the record of one pass."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fairseq_palbert.analysis.describe import describe
from fairseq_palbert.analysis.recorded_split import read_record, write_record
from fairseq_palbert.analysis.sweep import decisions, main
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import RULES, parse_rule
from tests.fixtures.recorded_runs import random_record

SPECS = {"MRPC": ["q_exit:0.5", "sampling:7", "expectation", "patience:1", "entropy:0.3", "confidence:0.9",
                  "learned:0.4",
                  "fixed:2", "random:2.5"],
         "STS-B": ["q_exit:0.5", "sampling:7", "expectation", "patience:1:0.5", "learned:0.6", "fixed:2", "random:2.5"]}


@pytest.fixture
def sweep(tmp_path):
    """sweep(record, options...) runs the command and returns the objects of sweep.jsonl."""

    def run(record, *options: str):
        main([str(record), "--out", str(tmp_path / "sweep"), *options])
        return [json.loads(line) for line in (tmp_path / "sweep" / "sweep.jsonl").read_text().splitlines()]

    return run


@pytest.mark.parametrize("task", SPECS)
def test_a_replay_scores_what_the_engine_has_scored(toy, evaluate, task):
    out, scores = evaluate(*toy(task, "--learned-exit"), *SPECS[task], options=["--record", "--batch-size", 1])
    recorded = read_record(out / "record.safetensors")
    for row in scores:
        rule = parse_rule(row["exit"])
        assert describe(recorded, rule, decisions(recorded, rule)).items() <= row.items()


@pytest.mark.parametrize("task", SPECS)
def test_every_rule_that_fits_spans_the_depths(toy, evaluate, sweep, capsys, task):
    out, _ = evaluate(*toy(task, "--learned-exit"), "fixed:1", options=["--record"])
    rows = sweep(out / "record.safetensors", "--points", "12")
    by_rule = {name: [row for row in rows if row["rule"] == name] for name in RULES}
    left_out = {name for name, found in by_rule.items() if not found}
    assert left_out == ({"entropy", "confidence"} if task == "STS-B" else set())
    errors = capsys.readouterr().err
    assert all(f"{name} is left out: it reads the probabilities of classes" in errors for name in left_out)
    for name in by_rule.keys() - left_out - {"sampling", "expectation"}:
        depths = [row["mean_exit"] for row in by_rule[name]]
        assert min(depths) < 2 and max(depths) == 4 and len(depths) <= 13, name
    assert len({row["exit"] for row in rows}) == len(rows)


def test_the_analysis_of_a_split(toy, evaluate, sweep):
    out, scores = evaluate(*toy("MRPC"), *(f"fixed:{k}" for k in range(1, 5)), options=["--record"])
    rows = sweep(out / "record.safetensors", "--points", "8")
    analysis = json.loads((out.parent / "sweep" / "analysis.json").read_text())
    assert [layer["score"] for layer in analysis["layers"]] == [row["metrics"]["score"] for row in scores]
    assert [layer["mean_flops"] for layer in analysis["layers"]] == [row["mean_flops"] for row in scores]
    assert all(0 <= layer["ece"] <= 1 and 0 <= layer["auroc"] <= 1 for layer in analysis["layers"])
    assert analysis["oracle"]["score"] >= max(row["metrics"]["score"] for row in scores)
    assert analysis["curves"].keys() == {row["rule"]
                                         for row in rows} and analysis["curves"]["fixed"]["static_advantage"] == 0
    assert analysis["posterior_entropy"] > 0


def test_a_split_without_labels_has_depths_alone(toy, evaluate, sweep, capsys):
    out, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record", "--split", "test"])
    assert all(row["metrics"] == {} for row in sweep(out / "record.safetensors", "--points", "4"))
    assert "This split has no labels" in capsys.readouterr().out
    with_labels, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record"])
    sweep(with_labels / "record.safetensors", "--points", "4")
    assert (out.parent / "sweep" / "analysis.json").exists()
    out, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record", "--split", "test"])
    sweep(out / "record.safetensors", "--points", "4")
    assert not (out.parent / "sweep" / "analysis.json").exists()


def test_curves_in_tensorboard(toy, evaluate, sweep, tmp_path):
    out, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record"])
    for rule in ("patience", "fixed"):  # the curves of the last sweep alone
        rows = sweep(out / "record.safetensors", "--rule", rule, "--tensorboard-logdir", str(tmp_path / "tb"))
    events = EventAccumulator(str(tmp_path / "tb" / "sweep_valid"))
    events.Reload()
    assert events.Tags()["scalars"] == ["curve/fixed"]
    drawn = {event.step: event.value for event in events.Scalars("curve/fixed")}
    assert drawn == pytest.approx({100 * k: row["metrics"]["score"] for k, row in enumerate(rows, start=1)})


def test_rules_are_chosen_by_name(toy, evaluate, sweep, capsys):
    out, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record"])
    assert [row["exit"]
            for row in sweep(out / "record.safetensors", "--rule", "fixed")] == [f"fixed:{k}" for k in range(1, 5)]
    assert "MRPC, valid:" in capsys.readouterr().out


def test_a_model_without_halting_logits_is_swept_by_the_other_rules(toy, evaluate, sweep, capsys):
    vanilla = toy("MRPC", "--criterion", "multi_exit_classification", "--lambda-module", "none")
    out, _ = evaluate(*vanilla, "fixed:1", options=["--record"])
    rows = sweep(out / "record.safetensors", "--points", "5")
    assert {row["rule"] for row in rows} == {"patience", "entropy", "confidence", "fixed", "random"}
    assert "q_exit is left out: it reads halting logits" in capsys.readouterr().err
    with pytest.raises(UserError, match="^q_exit: it reads .*; learned: .*: choose from patience, entropy, confidence"):
        sweep(out / "record.safetensors", "--rule", "q_exit", "--rule", "learned")
    assert not capsys.readouterr().err
    with pytest.raises(UserError, match="exit rule fixed is given twice"):
        sweep(out / "record.safetensors", "--rule", "fixed", "--rule", "entropy", "--rule", "fixed")


def test_a_record_of_one_layer_has_its_score_for_an_area(tmp_path, sweep):
    recorded = random_record("SST-2", 1, False)
    path = tmp_path / "one.safetensors"
    write_record(path, replace(recorded, encoder=replace(recorded.encoder, layers=1),
                               recording=Recording(None, recorded.recording.logits[:1])))
    rows = sweep(path)
    analysis = json.loads((tmp_path / "sweep" / "analysis.json").read_text(), parse_constant=pytest.fail)
    areas = {name: curve["area"] for name, curve in analysis["curves"].items()}
    assert areas == {row["rule"]: pytest.approx(row["metrics"]["score"]) for row in rows} and areas


def test_a_record_is_read_as_it_was_written(toy, evaluate, tmp_path):
    out, _ = evaluate(*toy("STS-B", "--learned-exit"), "fixed:1", options=["--record"])
    recorded = read_record(out / "record.safetensors")
    write_record(tmp_path / "again", recorded)
    again = read_record(tmp_path / "again")
    for name, value in vars(recorded).items():
        other = getattr(again, name)
        assert value.equal(other) if isinstance(value, torch.Tensor) else name == "recording" or value == other
    for name, value in vars(recorded.recording).items():
        assert value.equal(getattr(again.recording, name)), name
    assert len(recorded.origin["checkpoint"]["sha256"]) == 64


def test_a_bad_record_is_one_line_and_nothing_is_left(toy, evaluate, tmp_path):
    out, _ = evaluate(*toy("MRPC"), "fixed:1", options=["--record"])
    whole = (out / "record.safetensors").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-10])
    for path, reason in ((tmp_path / "none", "No such file"), (tmp_path / "cut", "truncated, or no safetensors")):
        with pytest.raises(UserError, match=reason):
            main([str(path), "--out", str(tmp_path / "sweep")])
    with pytest.raises(UserError, match="--points 0: at least 1"):
        main([str(out / "record.safetensors"), "--points", "0", "--out", str(tmp_path / "sweep")])
    save_file({"logits": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(UserError, match="not of this version of fairseq_palbert"):
        main([str(tmp_path / "other"), "--out", str(tmp_path / "sweep")])
    assert not (tmp_path / "sweep").exists()
