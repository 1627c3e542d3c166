"""Tests of the recurrent cell: its formula, and its use in the pondering classifier."""

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.modules.recurrent import CELLS, RecurrentEncoder, RecurrentShape

INPUTS, STEPS, HIDDEN, BATCH = 5, 4, 3, 6


def make_network(cell: str, **heads) -> PonderingClassifier:
    torch.manual_seed(0)
    encoder = RecurrentEncoder(RecurrentShape(INPUTS, STEPS, HIDDEN, cell))
    return PonderingClassifier(encoder, HeadsShape(outputs=2, pooling="none", lambda_module="linear", **heads)).eval()


def slow_states(cell: str, module: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Returns s_1..s_N of one vector by the cell's formula.

    It is tanh(W x + b + U s + c), or the GRU's (arXiv 1406.1078).
    """
    state, states = torch.zeros(HIDDEN), []
    for _ in range(STEPS):
        from_input = module.weight_ih @ x + module.bias_ih
        from_state = module.weight_hh @ state + module.bias_hh
        if cell == "tanh":
            state = torch.tanh(from_input + from_state)
        else:
            reset, update = (torch.sigmoid(from_input[i * HIDDEN:(i + 1) * HIDDEN]
                                           + from_state[i * HIDDEN:(i + 1) * HIDDEN]) for i in (0, 1))
            new = torch.tanh(from_input[2 * HIDDEN:] + reset * from_state[2 * HIDDEN:])
            state = (1 - update) * new + update * state
        states.append(state)
    return states


@pytest.mark.parametrize("cell", CELLS)
def test_the_heads_read_the_states_of_the_formula(cell):
    network, vectors = make_network(cell), torch.randn(BATCH, INPUTS)
    output = network(vectors, halt_at_last=True)
    for i, x in enumerate(vectors):
        for n, state in enumerate(slow_states(cell, network.encoder.layers[0], x)):
            logits = network.classifier.copies[0](state)
            halting = network.lambda_module.readout.copies[0](state)
            torch.testing.assert_close(output.logits[n, i], logits, rtol=0, atol=1e-6)
            torch.testing.assert_close(output.halting_logits[n, i], halting[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_has_a_gradient(cell):
    network = make_network(cell)
    output = network(torch.randn(BATCH, INPUTS))
    (output.logits.sum() + output.halting_logits.sum()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_all_steps_share_the_cell():
    network = make_network("gru")
    assert network.shares_layers and network.depth == STEPS and network.halts
    assert network.halting_weight == pytest.approx((HIDDEN + 1) / (3 * HIDDEN * (INPUTS + HIDDEN + 2)))


@pytest.mark.parametrize("wrong", [{"inputs": 0}, {"layers": 0}, {"layers": 257}, {"hidden": 0}, {"cell": "lstm"}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(UserError, match=f"recurrent cell: {next(iter(wrong))}"):
        RecurrentShape(**{"inputs": 4, "layers": 3, "hidden": 2, "cell": "gru"} | wrong)
