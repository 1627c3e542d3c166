"""On a GPU, the engine decides as for each sentence alone on the CPU."""

import pytest
import torch

from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.for_inference import for_inference
from fairseq_palbert.inference.reference import decide_alone
from fairseq_palbert.inference.window import Window
from fairseq_palbert.modules.pondering import POOLINGS

from .conftest import FAMILIES

SPECS = ["q_exit:0.3", "q_exit:0.5", "sampling:7", "expectation", "fixed:3", "patience:1", "entropy:0.3", "random:2.5"]
CUDA = torch.device("cuda")
pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("batch_size", [1, 8, 32, None])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_float32_decides_as_the_cpu_does(make_network, make_sentences, family, pooling, batch_size):
    network, sentences = make_network(family=family, pooling=pooling), make_sentences(40)
    there = for_inference(make_network(family=family, pooling=pooling), "float32", CUDA)
    for rule in map(parse_rule, SPECS):
        decided = decide(there, rule, Workload(sentences, Window(sentences=batch_size), CUDA))
        alone = [decide_alone(network, rule, sentence, i) for i, sentence in enumerate(sentences)]
        assert decided.exit_layers.equal(torch.cat([one.exit_layers for one in alone])), rule
        torch.testing.assert_close(decided.outputs, torch.cat([one.outputs for one in alone]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_the_reference_decides_there_too(make_network, make_sentences, spec):
    network, there, rule = make_network(), make_network().to(CUDA), parse_rule(spec)
    for i, sentence in enumerate(make_sentences(10)):
        alone, found = decide_alone(network, rule, sentence, i), decide_alone(there, rule, sentence.to(CUDA), i)
        assert found.exit_layers.equal(alone.exit_layers)
        torch.testing.assert_close(found.outputs.cpu(), alone.outputs, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_records_what_the_cpu_does(make_network, make_sentences, family, pooling, dtype):
    """By the attention kernel, or padded where the family adds a bias."""
    settings = {"family": family, "pooling": pooling, "hidden": 64}
    network, sentences = make_network(**settings), make_sentences(40)
    there = for_inference(make_network(**settings), dtype, CUDA)
    expected, found = record(network, Workload(sentences)), record(there, Workload(sentences, device=CUDA))
    for name in ("halting_logits", "logits"):
        error = (getattr(found, name) - getattr(expected, name)).abs().mean() / getattr(expected, name).abs().mean()
        assert error < (0.05 if dtype == "bfloat16" else 0.01), name


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_exits_by_its_own_record(make_network, make_sentences, dtype):
    """Batches of any size leave where the record of the same precision says, but for a few near the threshold."""
    network, sentences = for_inference(make_network(hidden=64, halting_bias=-1.0), dtype, CUDA), make_sentences(200)
    rule = parse_rule("q_exit:0.5")
    packed = decide(network, rule, Workload(sentences, device=CUDA))
    assert packed.exit_layers.double().std() >= 0.5, "the network is to let sentences leave at different layers"
    for batch_size in (1, 8, 32):
        decided = decide(network, rule, Workload(sentences, Window(sentences=batch_size), CUDA))
        assert decided.exit_layers.ne(packed.exit_layers).double().mean() <= 0.05
