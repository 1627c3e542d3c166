"""Tests of the pondering classifier in every configuration of its heads."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from fairseq_palbert.modules.pondering import HeadsShape
from fairseq_palbert.ponder.objective import PonderObjective
from tests.fixtures.networks import SHAPE

REPOSITORY = Path(__file__).parents[2]


def stepwise(network, tokens, halt_at_last=False):
    """Returns the logits and halting logits of forward(), one layer at a time as in an early-exit engine."""
    batch = network.padded(tokens)
    hidden = network.embed(batch)
    memory, logits, halting_logits = None, [], []
    for n in range(1, network.depth + 1):
        hidden = network.step(n, hidden, batch)
        pooled = network.pool(n, network.summarize(hidden, batch)[None])
        logits.append(network.classify(n, pooled)[0])
        if n < network.depth or halt_at_last:
            memory = network.initial_memory(pooled) if memory is None else memory
            halting, memory = network.halt(n, pooled, logits[-1][None], memory)
            halting_logits.append(halting[0])
    return torch.stack(logits), torch.stack(halting_logits)


def test_one_depth_at_a_time_equals_all_at_once_in_every_configuration(configurations, make_small_network, tokens):
    for heads in configurations:
        network = make_small_network(heads)
        with torch.no_grad():
            for at_last in {False, not heads.per_layer_lambda}:
                output = network(tokens, at_last)
                logits, halting_logits = stepwise(network, tokens, at_last)
                assert output.halting_logits.shape == (3 if at_last else 2, 5)
                torch.testing.assert_close(logits, output.logits, atol=1e-6, rtol=1e-5, msg=str(heads))
                torch.testing.assert_close(halting_logits, output.halting_logits, atol=1e-6, rtol=1e-5, msg=str(heads))


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("heads, weight", [
    ({"lambda_module": "none"}, 0), ({"lambda_module": "linear"}, 1 / 8 / 12), ({}, 1),
    ({"lambda_depth": 6}, 2), ({"lambda_module": "rnn"}, 0.5),
])
def test_what_a_run_of_the_lambda_module_reads(make_small_network, heads, weight, per_layer):
    """The weight compares what the lambda module reads with a layer's 12 C².

    PALBERT's module, three times (2 C)², reads about as much as a layer; a GRU, 6 C², reads half of it.
    """
    network = make_small_network(HeadsShape(outputs=2, per_layer_lambda=per_layer, **heads),
                                 replace(SHAPE, ffn_hidden=4 * SHAPE.hidden))
    assert network.halting_weight == pytest.approx(weight, rel=0.15)


def test_rows_may_be_dropped_between_depths(configurations, make_small_network, tokens):
    kept = torch.tensor([3, 0])
    for heads in configurations[::7]:
        network = make_small_network(heads)
        with torch.no_grad():
            expected = network(tokens)
            batch = network.padded(tokens)
            hidden = network.step(1, network.embed(batch), batch)
            pooled = network.pool(1, network.summarize(hidden, batch)[None])
            _, memory = network.halt(1, pooled, network.classify(1, pooled), network.initial_memory(pooled))
            hidden, batch, memory = batch.pad(hidden)[kept], network.padded(tokens[kept]), memory[kept]
            pooled = network.pool(2, network.summarize(network.step(2, batch.unpad(hidden), batch), batch)[None])
            halting_logits, _ = network.halt(2, pooled, network.classify(2, pooled), memory)
        torch.testing.assert_close(network.classify(2, pooled)[0], expected.logits[1, kept], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(halting_logits[0], expected.halting_logits[1, kept], atol=1e-5, rtol=1e-5)


def test_every_parameter_gets_a_gradient_in_every_configuration(configurations, make_small_network, tokens):
    objective = PonderObjective(beta=0.5, lambda_p=0.2)
    labels = torch.tensor([0, 1, 2, 1, 0])
    for heads in configurations:
        network = make_small_network(heads).train()
        output = network(tokens)
        losses = torch.stack([F.cross_entropy(logits, labels, reduction="none") for logits in output.logits])
        objective(output.halting_logits, losses).loss.sum().backward()
        without = [name for name, parameter in network.named_parameters() if parameter.grad is None]
        assert not without, (heads, without)


def test_without_a_lambda_module_there_are_answers_and_no_halting_logits(make_small_network, tokens):
    plain = make_small_network(HeadsShape(outputs=3, lambda_module="none", lambda_layer_embedding=True,
                                          classifier_dropout=0.0))
    assert {name.split(".")[0] for name, _ in plain.named_parameters()} == {"encoder", "pooler", "classifier"}
    pondering = make_small_network(HeadsShape(outputs=3, classifier_dropout=0.0))
    pondering.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        output = plain(tokens)
        assert output.halting_logits is None
        assert torch.equal(output.logits, pondering(tokens).logits)


@pytest.mark.parametrize("detach", [False, True])
def test_lambda_detach_stops_the_gradient_between_lambda_module_and_encoder(make_small_network, tokens, detach):
    network = make_small_network(HeadsShape(outputs=3, lambda_detach=detach))
    network(tokens).halting_logits.sum().backward()
    reached = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.grad is not None}
    assert reached == ({"lambda_module"} if detach else {"encoder", "pooler", "lambda_module"})


def test_a_step_under_torch_ddp_runs(configurations, tmp_path):
    """Trains every 11th configuration in two processes. DDP raises at the second step if a gradient is missing."""
    (tmp_path / "configurations.json").write_text(json.dumps([asdict(heads) for heads in configurations[::11]]))
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    worker = Path(__file__).with_name("ddp_worker.py")
    processes = [subprocess.Popen([sys.executable, worker, str(rank), str(tmp_path)], env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for rank in (0, 1)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)


def test_outputs_do_not_depend_on_padding(make_small_network, tokens):
    network = make_small_network(HeadsShape(outputs=3))
    lengths = tokens.ne(1).sum(1)
    with torch.no_grad():
        padded = network(tokens)
        for i, length in enumerate(lengths):
            alone = network(tokens[i:i + 1, :length])
            torch.testing.assert_close(alone.logits[:, 0], padded.logits[:, i], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(alone.halting_logits[:, 0], padded.halting_logits[:, i], atol=1e-5, rtol=1e-5)
