"""Tests of ``palbert evaluate`` on a recurrent model of parity: rules, record, report, refusals."""

import json

import pytest
import torch

from fairseq_palbert.analysis import sweep
from fairseq_palbert.analysis.describe import describe
from fairseq_palbert.analysis.recorded_split import read_record, write_record
from fairseq_palbert.checkpoints.export import export_model
from fairseq_palbert.checkpoints.loading import check_trained, load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.cli import main
from fairseq_palbert.exits.registry import RULES, parse_rule
from fairseq_palbert.modules.recurrent import RecurrentShape
from fairseq_palbert.report import cli as report

PONDER = ("--arch", "ponder_rnn", "--rnn-width", "8", "--criterion", "ponder_classification", "--prior-lambda", "0.1",
          "--max-steps-tail", "0.5")
STEPS = 7  # the first n with 0.9^n below 0.5: 0.9^6 = 0.53, 0.9^7 = 0.48
SPECS = ["q_exit:0.5", "sampling:7", "expectation", "fixed:3", "patience:1", "entropy:0.3"]


@pytest.fixture(scope="module")
def checkpoint(parity_checkpoint):
    return parity_checkpoint(*PONDER)


@pytest.fixture
def scores(checkpoint, tmp_path):
    """scores(options...) evaluates on test and returns (the output folder, the objects of scores.jsonl)."""

    def run(*options: str):
        out = tmp_path / "run" / "ponder" / "parity" / "seed1" / "scores" / "test"
        main([str(checkpoint), "--split", "test", "--record", "--out", str(out), *options,
              *(f"--exit={spec}" for spec in SPECS)])
        return out, [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]

    return run


def test_the_same_vectors_leave_alike_at_any_batch_size(scores):
    exits = [[(row["exit"], row["exit_histogram"], row["metrics"]["score"]) for row in scores(*options)[1]]
             for options in ((), ("--batch-size", "1"), ("--batch-size", "8"))]
    assert exits[0] == exits[1] == exits[2]
    by_rule = {spec: histogram for spec, histogram, _ in exits[0]}
    assert sum(count > 0 for count in by_rule["q_exit:0.5"]) > 2, "the vectors are to leave at different steps"
    assert by_rule["fixed:3"] == [0, 0, 60, 0, 0, 0, 0] and by_rule["expectation"][-1] == 60


def test_the_record_replays_what_the_engine_has_scored(scores):
    out, rows = scores()
    recorded = read_record(out / "record.safetensors")
    assert isinstance(recorded.encoder, RecurrentShape) and recorded.task.labels == ("even", "odd")
    assert recorded.prior == pytest.approx([0.1 * 0.9**n for n in range(STEPS - 1)] + [0.9 ** (STEPS - 1)])
    for row in rows:
        rule = parse_rule(row["exit"])
        assert describe(recorded, rule, sweep.decisions(recorded, rule)).items() <= row.items()
    step = 2 * 3 * 8 * (6 + 8)
    assert rows[SPECS.index("fixed:3")]["mean_flops"] == 3 * step + 2 * 8 * 2


def test_a_record_whose_cell_is_unknown_is_refused(scores, tmp_path):
    recorded = read_record(scores()[0] / "record.safetensors")
    object.__setattr__(recorded.encoder, "cell", "lstm")
    write_record(tmp_path / "record.safetensors", recorded)
    with pytest.raises(UserError, match="recurrent cell: cell is 'lstm'"):
        read_record(tmp_path / "record.safetensors")


def test_sweep_and_report_read_the_record(scores, tmp_path):
    out, _ = scores()
    sweep.main([str(out / "record.safetensors"), "--out", str(tmp_path / "sweep"), "--points", "5"])
    rows = [json.loads(line) for line in (tmp_path / "sweep" / "sweep.jsonl").read_text().splitlines()]
    assert {row["rule"] for row in rows} == set(RULES) - {"learned"}
    report.main([str(tmp_path / "run" / "ponder" / "parity"), "--split", "test", "--resamples", "20", "--out",
                 str(tmp_path / "report")])
    assert "Parity" in (tmp_path / "report" / "README.md").read_text()


def test_the_loaded_network_computes_what_was_saved(checkpoint):
    network, saved = load_model(checkpoint, None, None).network, torch.load(checkpoint, weights_only=True)["model"]
    assert network.depth == STEPS and not network.training
    assert all(tensor.equal(saved[f"network.{name}"]) for name, tensor in network.state_dict().items())


def test_what_parity_has_not_is_refused(checkpoint, parity_checkpoint, tmp_path, toy):
    with pytest.raises(UserError, match="which draws its data: drop --data and --glue-task"):
        load_model(checkpoint, str(tmp_path), None)
    with pytest.raises(UserError, match="served are models of text alone"):
        export_model(checkpoint, tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="dtype int8 is for the linear layers of encoders"):
        main([str(checkpoint), "--exit", "fixed:1", "--dtype", "int8", "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="--task parity has no split 'valid1'"):
        main([str(checkpoint), "--exit", "fixed:1", "--split", "valid1", "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="--data is missing"):
        load_model(toy("RTE")[0], None, None)
    act = parity_checkpoint("--arch", "act_rnn", "--criterion", "act")
    check_trained(str(act))
    with pytest.raises(UserError, match="whose answer is a mean over steps that no exit rule gives"):
        load_model(act, None, None)


@pytest.mark.parametrize("setting, value, reason", [
    ("max_steps", 1000, "recurrent cell: layers is 1000"), ("max_steps", 1, "recurrent cell: layers is 1"),
    ("max_steps", "7", "max_steps is '7'"),
    ("rnn_cell", "lstm", "rnn_cell is 'lstm'"), ("rnn_width", 9, "does not fit the model"),
    ("_name", "evil", "holds no model of --arch ponder_rnn or act_rnn, but evil"),
])
def test_changed_settings_of_a_checkpoint_are_one_line(checkpoint, tmp_path, setting, value, reason):
    state = torch.load(checkpoint, weights_only=True)
    state["cfg"]["model"][setting] = value
    torch.save(state, tmp_path / "changed.pt")
    with pytest.raises(UserError, match=reason):
        load_model(tmp_path / "changed.pt", None, None)
