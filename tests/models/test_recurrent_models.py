"""Tests of ``--arch ponder_rnn`` and ``act_rnn``: what fairseq's parser builds and what is refused."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.models.act_rnn import ActRnnModel
from fairseq_palbert.models.ponder_rnn import PonderRnnModel

PARITY = ("--task", "parity", "--vector-size", "6")
PONDER = ("--arch", "ponder_rnn", "--criterion", "ponder_classification")
ACT = ("--arch", "act_rnn", "--criterion", "act")


@pytest.mark.parametrize("flags, cls", [(PONDER, PonderRnnModel), (ACT, ActRnnModel)])
@pytest.mark.parametrize("cell", ["gru", "tanh"])
def test_a_batch_trains_every_parameter(flags, cls, cell, build_from_flags):
    _, task, model, criterion = build_from_flags(*PARITY, *flags, "--rnn-cell", cell, "--rnn-width", "5",
                                                 "--max-steps", "4")
    assert type(model) is cls and model.network.depth == 4
    dataset = task.load_dataset("train")
    loss, sample_size, _ = criterion(model, dataset.collater([dataset[i] for i in range(8)]))
    loss.backward()
    assert sample_size == 8 and all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())


def test_the_defaults_are_those_of_the_papers(build_from_flags):
    shape = build_from_flags(*PARITY, *PONDER)[2].network.encoder.shape
    assert (shape.cell, shape.hidden, shape.layers, shape.inputs) == ("gru", 128, 20, 6)


def test_acts_halting_bias_starts_at_1(build_from_flags):
    network = build_from_flags(*PARITY, *ACT)[2].network
    assert network.lambda_module.readout.copies[0][-1].bias.tolist() == [1.0]


def test_a_network_of_fixed_steps_has_no_lambda_module(build_from_flags):
    flags = ("--lambda-module", "none", "--criterion", "multi_exit_classification", "--layer-weights", "last")
    cfg, _, model, _ = build_from_flags(*PARITY, "--arch", "ponder_rnn", *flags)
    assert not model.network.halts and cfg.model.prior_lambda is None


def test_the_tail_of_the_prior_decides_on_the_steps_and_checkpoints_keep_them(build_from_flags):
    cfg, _, model, _ = build_from_flags(*PARITY, *PONDER, "--prior-lambda", "0.1", "--max-steps-tail", "0.05")
    assert model.network.depth == cfg.model.max_steps == 29


WRONG = [
    ((*PARITY, *PONDER, "--max-steps-tail", "0.05"), "--max-steps-tail 0.05 bounds .*: add --prior-lambda"),
    ((*PARITY, *PONDER, "--prior-lambda", "0.1", "--max-steps-tail", "2"), "--max-steps-tail 2"),
    ((*PARITY, *PONDER, "--prior-lambda", "0.001", "--max-steps-tail", "0.05"), "recurrent cell: layers is 2995"),
    ((*PARITY, *PONDER, "--max-steps", "1"), "recurrent cell: layers is 1, .*an integer from 2 to 256"),
    ((*PARITY, *ACT, "--max-steps", "1"), "recurrent cell: layers is 1"),
    ((*PARITY, *PONDER, "--prior-lambda", "0.5", "--max-steps-tail", "0.5"), "recurrent cell: layers is 1"),
    ((*PARITY, *PONDER, "--rnn-width", "0"), "recurrent cell: hidden is 0"),
    ((*PARITY, *PONDER, "--lambda-module", "x"), "heads: lambda_module is 'x'"),
    ((*PARITY, *PONDER, "--amp"), "--amp does nothing on the CPU"),
    ((*PARITY, "--arch", "palbert_roberta_tiny", "--criterion", "ponder_classification"),
     "--task parity has vectors, not words: choose --arch ponder_rnn or act_rnn"),
    ((*PARITY, "--arch", "roberta_base", "--criterion", "ponder_classification"), "--arch roberta_base has no exits"),
]


@pytest.mark.parametrize("flags, reason", WRONG, ids=[reason[:30] for _, reason in WRONG])
def test_what_cannot_be_built_is_one_line(flags, reason, build_from_flags):
    with pytest.raises(UserError, match=reason):
        build_from_flags(*flags)


def test_text_is_refused(toy, build_from_flags):
    _, data = toy("RTE")
    with pytest.raises(UserError, match="--arch ponder_rnn reads vectors, which --task parity makes"):
        build_from_flags(str(data), "--task", "glue", "--glue-task", "RTE", *PONDER)


def test_adversarial_noise_is_refused(build_from_flags):
    _, task, model, criterion = build_from_flags(*PARITY, *PONDER, "--freelb-steps", "2")
    dataset = task.load_dataset("train")
    with pytest.raises(UserError, match="--freelb-steps perturbs token embeddings"):
        criterion(model, dataset.collater([dataset[0]]))
