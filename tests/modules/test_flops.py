"""Tests of the operation counts against torch's own counter, on the engine itself."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.inference.engine import Workload, decide
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.flops import exit_flops
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.modules.recurrent import CELLS, RecurrentEncoder, RecurrentShape

SHAPE = {"vocabulary": 50, "padding_id": 1, "separator_id": 2, "max_positions": 40, "layers": 4, "hidden": 24,
         "ffn_hidden": 56, "heads": 3, "first_position": 2}


FIXED, HALTING = ("fixed:1", "fixed:3", "fixed:4"), ("q_exit:1", "expectation")


@pytest.mark.parametrize("encoder", [{}, {"embedding": 8, "groups": 1}, {"groups": 2, "inner_layers": 2}])
@pytest.mark.parametrize("heads, specs", [
    ({"lambda_module": "linear"}, [*FIXED, *HALTING, "patience:9"]),
    ({"lambda_module": "rnn"}, HALTING),
    ({"lambda_lookback": 2, "lambda_input": "both", "lambda_depth": 2}, HALTING),
    ({"lambda_reads": "both", "lambda_width": 16, "lambda_depth": 1, "pooling": "mean"}, HALTING),
    ({"lambda_reads": "answers", "lambda_module": "linear"}, HALTING),
    ({"outputs": 1, "per_layer_pooler": True, "per_layer_classifier": True}, [*FIXED, *HALTING, "patience:9:1"]),
    ({"lambda_module": "none", "outputs": 5, "learned_exit": True}, [*FIXED, "entropy:0", "learned:0"]),
])
def test_torchs_counter_agrees(encoder, heads, specs):
    heads = HeadsShape(**{"outputs": 3, **heads})
    network = PonderingClassifier(Encoder(EncoderShape(**SHAPE | encoder)), heads).eval()
    sentences = list(torch.randint(3, 50, (2, 17)))
    for rule in map(parse_rule, specs):
        # torch's counter does not know the CPU's fused attention
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            decided = decide(network, rule, Workload(sentences))
        ours = exit_flops(network.encoder.shape, heads, torch.tensor([17, 17]), decided.exit_layers,
                          rule.reads_halting, rule.reads_logits, rule.reads_errors)
        assert int(ours.sum()) == pytest.approx(counter.get_total_flops(), rel=0.02), rule.spec


@pytest.mark.parametrize("cell", CELLS)
def test_torchs_counter_agrees_on_a_recurrent_cell(cell):
    heads = HeadsShape(outputs=2, pooling="none", lambda_module="linear")
    network = PonderingClassifier(RecurrentEncoder(RecurrentShape(7, 4, 24, cell)), heads).eval()
    vectors = list(torch.randn(5, 1, 7))
    for rule in map(parse_rule, [*FIXED, *HALTING]):
        with FlopCounterMode(display=False) as counter:
            decided = decide(network, rule, Workload(vectors))
        ours = exit_flops(network.encoder.shape, heads, torch.ones(5), decided.exit_layers, rule.reads_halting,
                          rule.reads_logits)
        assert int(ours.sum()) == counter.get_total_flops(), rule.spec


def test_padding_costs_nothing_and_a_layer_more_costs_its_step_and_pooler():
    shape, heads = EncoderShape(**SHAPE), HeadsShape(outputs=2)
    costs = exit_flops(shape, heads, torch.tensor([5, 5, 9]), torch.tensor([1, 2, 2]), halts=False, classifies=False)
    assert costs[1] - costs[0] == 5 * (8 * 24**2 + 4 * 24 * 56) + 4 * 25 * 24 + 2 * 24**2
    assert costs[2] > costs[1]
