"""Tests of recipes/benchmark.sh --checkpoint: every program runs a trained model with its exits."""

import json

import pytest
import torch

from fairseq_palbert.checkpoints.formats.model_folder import ModelCard, write_model
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Decisions

GATE = ("--pooling", "mean", "--lambda-reads", "both", "--lambda-width", "16", "--lambda-depth", "1")
SMALL = ("--encoder-embed-dim", "64", "--encoder-ffn-embed-dim", "128", "--encoder-attention-heads", "4")
BERT = ("--arch", "palbert_bert_tiny", *GATE)
MPNET = ("--arch", "palbert_mpnet_base", *SMALL, *GATE)
ALBERT = ("--arch", "palbert_albert_base", "--encoder-embedding-dim", "16", *SMALL)


@pytest.fixture
def benchmark(tmp_path):
    """benchmark(checkpoint, data, flags...) runs 12 sentences for one round; returns benchmark.json and the page."""
    pytest.importorskip("onnxruntime", reason="needs recipes/requirements-benchmark.txt")
    from recipes.benchmark.__main__ import main

    def run(checkpoint, data, *flags: str) -> dict:
        out = tmp_path / "out"
        few = ["--sentences", "12", "--rounds", "1"]
        main(["--checkpoint", str(checkpoint), "--data", str(data), "--out", str(out), *few, *flags])
        return json.loads((out / "benchmark.json").read_text()) | {"page": (out / "benchmark.md").read_text()}

    return run


def exported(checkpoint, data, folder, family: str):
    model = load_model(checkpoint, str(data), None)
    folder.mkdir()
    write_model(folder, model.network, ModelCard(family, model.task.definition.name,
                                                 list(model.task.definition.labels), 512, None,
                                                 model.task.state_dict()["dictionary"], None, 0))
    return folder


@pytest.mark.parametrize("glue_task, flags, family, rule", [
    ("SST-2", BERT, "bert", None), ("RTE", MPNET, "mpnet", "q_exit:0.3"), ("RTE", ALBERT, "albert", "q_exit:0.2"),
    ("RTE", (), "roberta", None), ("STS-B", BERT, "bert", None),
])
def test_its_own_exits_through_every_program_of_its_family(toy, benchmark, tmp_path, glue_task, flags, family, rule):
    checkpoint, data = toy(glue_task, *flags)
    model = exported(checkpoint, data, tmp_path / "model", family) if family == "mpnet" else checkpoint
    found = benchmark(model, data, *(["--exit", rule] if rule else []))
    assert (found["rule"], found["family"], found["checkpoint"]) == (rule or "q_exit:0.5", family, model.name)
    assert found["sd_exit"] > 0 and f"sd {found['sd_exit']:.2f}" in found["page"]
    assert sorted({name[0] for name in found["median_seconds"]}) == list("abcdefg" if family == "roberta" else "bcdefg")
    assert ("(a) is left out: fairseq's own model is a RoBERTa" in found["page"]) == (family != "roberta")
    pairs = [name for name in found["median_seconds"] if name.endswith("pooling")]
    assert pairs == [f"g: {how}, packed, {read} pooling" for how in ("full depth", "exiting")
                     for read in ("first", "mean")]


def test_its_exits_are_the_engines(toy, benchmark, evaluate):
    checkpoint, data = toy("SST-2", *BERT)
    _, (row,) = evaluate(checkpoint, data, "q_exit:0.3")
    found = benchmark(checkpoint, data, "--exit", "q_exit:0.3", "--sentences", "51")
    assert found["mean_exit"] == pytest.approx(row["mean_exit"]) and found["sd_exit"] == pytest.approx(row["sd_exit"])


def test_a_rule_that_reads_the_answers_of_a_model_without_halting_logits(toy, benchmark):
    checkpoint, data = toy("SST-2", "--lambda-module", "none", "--criterion", "multi_exit_classification")
    found = benchmark(checkpoint, data, "--exit", "entropy:0.95")
    assert found["rule"] == "entropy:0.95" and 1 < found["mean_exit"] < 4


def test_drawn_exits_have_the_mean_that_was_asked_for(toy, benchmark):
    checkpoint, data = toy("SST-2", *BERT)
    found = benchmark(checkpoint, data, "--drawn", "2.5", "--sentences", "51")
    assert found["rule"].startswith("drawn:0.") and found["mean_exit"] == pytest.approx(2.5, abs=0.5)


def test_half_precision_is_timed_with_the_engines_exits(toy, benchmark):
    """Programs round differently, so that some exits near the threshold differ among them."""
    found = benchmark(*toy("SST-2", *BERT), "--dtype", "bfloat16", "--sentences", "51", "--exit", "q_exit:0.65")
    assert found["rule"] == "q_exit:0.65" and found["sd_exit"] > 0


def test_a_precision_whose_answers_differ_is_left_out(toy, benchmark, monkeypatch):
    from recipes.benchmark import __main__ as main

    def wrong(network, sentences, rule):
        return {"bfloat16": lambda: Decisions(torch.full((12, 2), 9.0), torch.full((12,), 4))}

    monkeypatch.setattr(main, "lower_precisions", wrong)
    found = benchmark(*toy("SST-2", *BERT))
    assert "bfloat16 is left out: its answers are not float32's: 0 exit layers differ, and outputs by" in found["page"]
    assert not [name for name in found["median_seconds"] if name.endswith("bfloat16")]


def test_the_parameter_of_a_mean():
    from recipes.benchmark.drawn import Drawn

    for mean, depth in ((5.97, 12), (1.1, 4), (3.9, 4), (2.9, 6)):
        drawn = Drawn.of_mean(mean, depth).start(torch.arange(100_000))
        assert drawn.double().mean().item() == pytest.approx(mean, abs=0.03)


@pytest.mark.parametrize("flags, said", [
    (["--exit", "learned:0.5"], "exit rule learned:0.5: it reads learned-exit scores"),
    (["--exit", "fixed:9"], "the model has 4 layers, choose fixed:1 to fixed:4"),
    (["--exit", "expectation"], "exit rule expectation: it never exits early"),
    (["--exit", "sometimes"], "unknown exit rule 'sometimes'"),
    (["--drawn", "4"], "--drawn 4: the model has 4 layers: choose a mean exit between 1 and 4"),
    (["--layers", "3"], "--layers 3: only for random weights; leave it out with --checkpoint"),
    (["--split", "none"], "none"),
])
def test_mistakes_are_told_in_a_line(toy, benchmark, tmp_path, flags, said):
    with pytest.raises(UserError, match=said) as caught:
        benchmark(*toy("SST-2", *BERT), *flags)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_a_checkpoint_that_is_missing_or_does_not_fit_is_refused(toy, benchmark, tmp_path):
    checkpoint, data = toy("SST-2", *BERT)
    with pytest.raises(UserError, match="gone.pt: No such file or directory: give a checkpoint"):
        benchmark(tmp_path / "gone.pt", data)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no exported model of fairseq_palbert"):
        benchmark(tmp_path / "empty", data)
    for wrong in (tmp_path / "nothing", toy("RTE")[1]):
        with pytest.raises(UserError):
            benchmark(checkpoint, wrong)
