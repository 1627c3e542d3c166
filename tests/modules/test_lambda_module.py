"""Tests of the lambda modules: parameters, inputs and memory between layers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_palbert.modules.lambda_module import LAMBDA_INPUTS, LinearLambda, MlpLambda, RnnLambda


def make(name, hidden=4, copies=1, joined="concat", lookback=1):
    torch.manual_seed(0)
    if name == "mlp":
        return MlpLambda(hidden, copies, 0.0, 2, joined, lookback, None)
    return {"linear": LinearLambda, "rnn": RnnLambda}[name](hidden, copies, 0.0)


def test_palberts_lambda_module_has_its_published_number_of_parameters():
    palbert = MlpLambda(768, copies=1, dropout=0.0, depth=3, joined="concat", lookback=1, width=None)
    assert sum(parameter.numel() for parameter in palbert.parameters()) == 7_084_033  # 3 (1536² + 1536) + 1537


@pytest.mark.parametrize("joined", LAMBDA_INPUTS)
@pytest.mark.parametrize("lookback", [1, 2, 3])
def test_the_mlp_sees_the_layers_before_by_a_nested_loop(joined, lookback):
    layers, sentences, hidden = 5, 2, 3
    module = make("mlp", hidden, joined=joined, lookback=lookback).double()
    pooled = torch.randn(layers, sentences, hidden, dtype=torch.float64)
    logits, _ = module(1, pooled, module.initial_memory(pooled))
    for n in range(layers):
        for b in range(sentences):
            now = pooled[n, b]
            before = [pooled[n - j, b] if n >= j else torch.zeros_like(now) for j in range(1, lookback + 1)]
            parts = {
                "concat": [now, *before],
                "diff": [now - z for z in before],
                "both": [now, *before, *(now - z for z in before)],
            }[joined]
            expected = module.readout.copies[0](torch.cat(parts))
            torch.testing.assert_close(logits[n, b], expected[0])


def test_the_rnn_is_a_gru_over_depth():
    module = make("rnn")
    cell = torch.nn.GRUCell(4, 4)
    for name, parameter in cell.named_parameters():
        parameter.data = getattr(module.rnn, f"{name}_l0").data
    pooled = torch.randn(3, 2, 4)
    logits, _ = module(1, pooled, module.initial_memory(pooled))
    state = torch.zeros(2, 4)
    for n in range(3):
        state = cell(pooled[n], state)
        torch.testing.assert_close(logits[n], module.readout.copies[0](state)[:, 0])


@settings(max_examples=40)
@given(
    name=st.sampled_from(["linear", "mlp", "rnn"]), joined=st.sampled_from(LAMBDA_INPUTS), lookback=st.integers(1, 4),
    layers=st.integers(2, 6), sentences=st.integers(1, 3), shared=st.booleans(), data=st.data(),
)
def test_any_cut_in_depth_gives_the_same_halting_logits(name, joined, lookback, layers, sentences, shared, data):
    """A run over layers 1..c, then from its memory over c + 1..N, equals one run.

    This also holds if only some rows are left after the cut.
    """
    module = make(name, copies=1 if shared else layers, joined=joined, lookback=lookback)
    pooled = torch.randn(layers, sentences, 4, generator=torch.Generator().manual_seed(layers))
    cut = data.draw(st.integers(1, layers - 1))
    rows = data.draw(st.permutations(range(sentences)))[:data.draw(st.integers(1, sentences))]
    whole, _ = module(1, pooled, module.initial_memory(pooled))
    first, memory = module(1, pooled[:cut], module.initial_memory(pooled))
    assert memory.shape[0] == sentences
    second, _ = module(cut + 1, pooled[cut:, rows], memory[rows])
    torch.testing.assert_close(first, whole[:cut], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(second, whole[cut:, rows], atol=1e-6, rtol=1e-5)
