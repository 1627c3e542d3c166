"""Tests of the engine on recurrent cells: batches and replays decide as a vector alone."""

import pytest
import torch

from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.reference import decide_alone
from fairseq_palbert.inference.window import Window
from fairseq_palbert.modules.recurrent import CELLS

from .conftest import varied_recurrent_network

SPECS = ["q_exit:0", "q_exit:0.5", "q_exit:0.9", "q_exit:1", "sampling:7", "expectation", "fixed:1", "fixed:3",
         "patience:1", "entropy:0.3", "confidence:0.8", "random:2.5"]
VECTORS = list(torch.randn(40, 1, 7, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("spec", SPECS)
def test_any_batch_gives_what_each_vector_gives_alone(cell, spec):
    network, rule = varied_recurrent_network(cell), parse_rule(spec)
    alone = [decide_alone(network, rule, vector, i) for i, vector in enumerate(VECTORS)]
    recording = record(network, Workload(VECTORS))
    batches = [Window(sentences=size) for size in (1, 8, 32)] + [Window(tokens=11, step_tokens=4), Window()]
    decisions = [decide(network, rule, Workload(VECTORS, window)) for window in batches]
    for decided in [*decisions, replay(rule, recording, torch.arange(40))]:
        assert decided.exit_layers.equal(torch.cat([one.exit_layers for one in alone]))
        torch.testing.assert_close(decided.outputs, torch.cat([one.outputs for one in alone]).to(decided.outputs),
                                   rtol=0, atol=1e-5)
    if spec == "q_exit:0.5":
        assert decisions[0].exit_layers.double().std() >= 0.5, "the vectors are to leave at different steps"


def test_vectors_at_different_steps_share_a_step(monkeypatch):
    """The window holds 11 of 40 vectors; those that wait take the places of those that have exited."""
    network, calls = varied_recurrent_network("gru"), []
    step = network.step
    monkeypatch.setattr(network, "step", lambda *given: calls.append(given) or step(*given))
    decided = decide(network, parse_rule("q_exit:0.5"), Workload(VECTORS, Window(tokens=11)))
    assert len(calls) < 4 * network.depth and int(decided.exit_layers.sum()) == sum(len(rows) for _, rows, _ in calls)
