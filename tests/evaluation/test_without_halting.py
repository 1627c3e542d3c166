"""Tests of ``palbert evaluate`` on a model without a lambda module.

The command leaves out what needs halting logits, and says so.
"""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fairseq_palbert.errors import UserError

VANILLA = ("--lambda-module", "none", "--criterion", "multi_exit_classification", "--layer-weights", "last")
FILES = {"scores.jsonl", "predictions.tsv", "evaluation.json", "exit_histogram.png", "posterior.png"}


@pytest.fixture
def vanilla(toy):
    return toy("MRPC", *VANILLA)


def test_fixed_exits_are_scored_and_the_posterior_is_left_out(vanilla, evaluate, tmp_path, capsys):
    out, scores = evaluate(*vanilla, "fixed:1", "fixed:4", options=["--tensorboard-logdir", tmp_path / "tensorboard"])
    assert {path.name for path in out.iterdir()} == FILES
    layers = json.loads((out / "evaluation.json").read_text())["layers"]
    assert layers["depth"] == 4 and layers["posterior"] is None and layers["prior"] is None
    assert [row["metrics"]["score"] for row in scores] == pytest.approx([layers["scores"][0], layers["scores"][3]])
    printed = capsys.readouterr().out
    assert "no halting logits" in printed
    assert next(line for line in printed.splitlines() if line.startswith("layer")).split() == ["layer", "score"]
    events = EventAccumulator(str(tmp_path / "tensorboard" / "score_valid"), size_guidance={"images": 0}).Reload()
    assert not [tag for tag in events.Tags()["scalars"] if tag.startswith(("posterior", "prior"))]
    assert events.Scalars("mean_exit/fixed:4")[-1].value == 4
    assert set(events.Tags()["images"]) == {"exit_histogram", "posterior"}


def test_the_last_layer_scores_what_training_logs(vanilla, evaluate):
    _, (row,) = evaluate(*vanilla, "fixed:4")
    import torch
    from fairseq import checkpoint_utils

    checkpoint, data = vanilla
    (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], {"data": str(data)})
    dataset = task.load_dataset("valid")
    with torch.no_grad():
        batch = dataset.collater([dataset[i] for i in range(len(dataset))])
        _, _, log = task.build_criterion(cfg.criterion)(model.eval(), batch)
    assert task.metrics(log["statistics"]) == pytest.approx(row["metrics"])


@pytest.mark.parametrize("rule", ["q_exit:0.5", "sampling:1", "expectation"])
def test_rules_that_read_halting_logits_are_refused_before_anything_is_computed(vanilla, evaluate, tmp_path, rule):
    with pytest.raises(UserError, match="reads halting logits") as error:
        evaluate(*vanilla, "fixed:4", rule)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
