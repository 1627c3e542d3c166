"""Tests of real training runs through ``--user-dir``: logs, checkpoints and validation."""

import json
import re

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

DEPTH = 6
BY_LAYER = {f"{kind}_{n}" for kind in ("p", "squared_error") for n in range(1, DEPTH + 1)}
LOGGED = {"loss", "task_loss", "kl", "posterior_depth", "q_exit_depth", "pearson", "spearman", "score"} | BY_LAYER


@pytest.fixture(scope="module")
def trained(fairseq, make_toy_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    data = make_toy_data(folder / "data", "STS-B")
    output = fairseq(
        "train", data, "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task", "STS-B", "--cpu",
        "--arch", "palbert_roberta_tiny", "--criterion", "ponder_classification", "--optimizer", "ponder_adam",
        "--lr", "0.001", "--lambda-lr", "0.002", "--batch-size", "32", "--max-epoch", "2", "--save-dir", folder,
        "--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric", "--no-epoch-checkpoints",
        "--tensorboard-logdir", folder / "tensorboard", "--log-format", "json", "--log-interval", "2",
    )
    (folder / "train.log").write_text(output)
    return folder


def last_log(text, tag):
    return json.loads(re.findall(rf"\| {tag} \| (\{{.*\}})", text)[-1])


def test_tensorboard_shows_the_scalars_of_train_and_valid(trained):
    log = (trained / "train.log").read_text()
    for split, tag in (("train", "train"), ("train_inner", "train_inner"), ("valid", "valid")):
        events = EventAccumulator(str(trained / "tensorboard" / split))
        events.Reload()
        assert LOGGED <= set(events.Tags()["scalars"]), split
        prefix = "" if split == "train_inner" else f"{split}_"
        for name in LOGGED:
            written = events.Scalars(name)[-1].value
            assert written == pytest.approx(float(last_log(log, tag)[prefix + name]), rel=1e-4, abs=1e-6)
    assert events.Scalars("p_1")[-1].step == 14  # 203 examples in batches of 32, twice


def test_the_learning_rates_by_part_are_logged(trained):
    logged = last_log((trained / "train.log").read_text(), "train")
    rates = {part: float(logged[f"train_lr_{part}"]) for part in ("encoder", "classifier", "lambda")}
    assert rates == {"encoder": 0.001, "classifier": 0.001, "lambda": 0.002}


def test_the_checkpoint_holds_data_alone_and_the_best_one_is_the_best(trained):
    best = torch.load(trained / "checkpoint_best.pt", weights_only=True)
    log = (trained / "train.log").read_text()
    scores = [json.loads(line)["valid_score"] for line in re.findall(r"\| valid \| (\{.*\})", log)]
    assert best["extra_state"]["best"] == pytest.approx(max(map(float, scores)), abs=1e-5)
    assert best["extra_state"]["best"] != pytest.approx(round(best["extra_state"]["best"], 3), abs=1e-9), "rounded"


def test_fairseq_validate_repeats_the_validation_score(fairseq, trained):
    output = fairseq("validate", trained / "data", "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task",
                     "STS-B",
                     "--path", trained / "checkpoint_best.pt", "--batch-size", "32", "--cpu", "--log-format", "json")
    best = torch.load(trained / "checkpoint_best.pt", weights_only=True)["extra_state"]["best"]
    assert float(last_log(output, "valid")["valid_score"]) == pytest.approx(best, abs=1e-5)


def test_mpnet_trains_its_one_table_of_relative_positions(fairseq, make_toy_data, tmp_path):
    data, tables = make_toy_data(tmp_path / "data", "RTE"), []
    sizes = ("--encoder-layers", "2", "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "24",
             "--encoder-attention-heads", "2")
    for updates in ("1", "4"):  # the second run resumes the first
        fairseq("train", data, "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task", "RTE", "--cpu",
                "--arch", "palbert_mpnet", *sizes, "--criterion", "ponder_classification", "--optimizer", "ponder_adam",
                "--lr", "0.01", "--batch-size", "32", "--max-update", updates, "--save-dir", tmp_path)
        tensors = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["model"]
        tables.append(tensors["network.encoder.relative_bias.weight"])
    assert [name for name in tensors if "relative_bias" in name] == ["network.encoder.relative_bias.weight"]
    moved = tables[1].ne(tables[0]).all(1)
    # no token is ahead by 0, so bucket 16 does not move
    assert tables[0].shape == (32, 2) and moved[:8].all() and moved[17:24].all() and not moved[16]
