"""Tests of networks made ready for inference: answers change no more than the precision allows."""

import copy
from dataclasses import replace

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.inference import prepacked_linear
from fairseq_palbert.inference.engine import Workload, record
from fairseq_palbert.inference.for_inference import DTYPES, for_inference
from fairseq_palbert.inference.prepacked_linear import PrepackedLinear
from fairseq_palbert.modules.pondering import HeadsShape
from fairseq_palbert.modules.transformer import ACTIVATIONS
from tests.fixtures.networks import SHAPE

SENTENCES = [torch.tensor(ids) for ids in ([0, 5, 2, 6, 7, 2], [0, 5, 2], [4], [0, 8, 2, 3, 2])]
CPU = torch.device("cpu")
HEADS = [HeadsShape(outputs=3), HeadsShape(outputs=1, lambda_module="rnn", per_layer_pooler=True, learned_exit=True)]


def answers(network):
    recording = record(network, Workload(SENTENCES))
    return torch.cat([part.float().flatten() for part in vars(recording).values() if part is not None])


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("bfloat16", 0.1), ("float16", 0.02), ("int8", 0.2)])
def test_answers_stay_what_they_were(make_small_network, heads, dtype, tolerance):
    expected = answers(make_small_network(heads))
    ready = answers(for_inference(copy.deepcopy(make_small_network(heads)), dtype, CPU))
    assert (ready - expected).abs().max() <= tolerance
    assert dtype == "float32" or not torch.equal(ready, expected)


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_every_configuration_answers_as_it_did(configurations, make_small_network, at_a_time):
    """Halting logits agree for one or two layers at a time, and for sentences at different layers."""
    pooled, logits = torch.randn(2, 4, 8), torch.randn(2, 4, 3)
    for heads in configurations:
        network = make_small_network(heads)
        ready = for_inference(copy.deepcopy(network), "float32", CPU)
        assert (ready.split_lambda is not None) == (heads.lambda_module == "mlp" and not heads.per_layer_lambda)
        with torch.inference_mode():
            found = [halting_logits(network, pooled, logits, at_a_time) for network in (network, ready)]
        torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-5, msg=str(heads))


def halting_logits(network, pooled, logits, at_a_time):
    memory, found = network.initial_memory(pooled), []
    for n in range(0, 2, at_a_time):
        some = slice(n, n + at_a_time)
        halting, memory = network.halt(n + 1, pooled[some], logits[some], memory)
        found.append(halting)
    mixed, _ = network.halt(torch.tensor([1, 2, 2, 1]), pooled[:1], logits[:1], memory)
    return torch.cat([*found, mixed])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_joined_to_their_product_stay_what_they_were(make_small_network, activation):
    network = make_small_network(HEADS[0], replace(SHAPE, activation=activation))
    ready = for_inference(copy.deepcopy(network), "float32", CPU)
    joined = isinstance(ready.encoder.layers[0].activation, torch.nn.Identity)
    assert joined == (activation in ("gelu", "gelu_tanh", "relu"))
    torch.testing.assert_close(answers(ready), answers(network), rtol=0, atol=1e-5)


@pytest.mark.parametrize("width, laid_out", [(None, 0), (2**17, 1)])
def test_heads_are_left_to_torchs_own_product_but_for_a_large_lambda_module(make_small_network, width, laid_out):
    heads = replace(HEADS[0], lambda_width=width, lambda_depth=1)
    ready = for_inference(copy.deepcopy(make_small_network(heads)), "float32", CPU)
    counts = [linears(head).count(PrepackedLinear) for head in (ready.pooler, ready.classifier, ready.split_lambda)]
    assert counts == [0, 0, laid_out]


def test_every_name_is_tried():
    assert set(DTYPES) == {"float32", "bfloat16", "float16", "int8"}


def linears(network):
    return [type(module) for module in network.modules() if "Linear" in type(module).__name__
            and "Lambda" not in type(module).__name__]


def test_linear_layers_are_laid_out_once_where_torch_can(make_small_network, monkeypatch):
    network = copy.deepcopy(make_small_network(HEADS[0]))
    count = len(linears(network.encoder))
    assert linears(for_inference(copy.deepcopy(network), "float32", CPU).encoder) == count * [PrepackedLinear]
    expected = answers(network)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    plain = for_inference(network, "float32", CPU)
    assert linears(plain.encoder) == count * [torch.nn.Linear]
    torch.testing.assert_close(answers(plain), expected, rtol=0, atol=1e-6)


def test_bfloat16_works_on_a_cpu_without_avx512(make_small_network, monkeypatch):
    """There oneDNN refuses to prepack; torch's own product answers."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    network = for_inference(copy.deepcopy(make_small_network(HEADS[0])), "bfloat16", CPU)
    assert {*linears(network.encoder)} == {torch.nn.Linear}
    torch.testing.assert_close(answers(network), answers(make_small_network(HEADS[0])), rtol=0, atol=0.1)


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_a_prepacked_layer_is_the_layer(rows):
    linear, x = torch.nn.Linear(24, 56), torch.randn(rows, 24)
    with torch.no_grad():
        torch.testing.assert_close(PrepackedLinear(linear)(x), linear(x), rtol=0, atol=1e-5)
    assert prepacked_linear.can_prepack(linear) and not prepacked_linear.can_prepack(linear.half())


def test_rows_are_padded_to_few_sizes():
    sizes = {rows: prepacked_linear.padded_rows(rows) for rows in range(1, 1025)}
    assert all(rows <= size <= max(5, rows * 9 / 8) for rows, size in sizes.items())
    assert all(size - rows < 16 for rows, size in sizes.items()) and len(set(sizes.values())) < 100


def test_int8_is_for_the_cpu(make_small_network):
    with pytest.raises(UserError, match="dtype int8 is for the CPU: on meta choose bfloat16 or float16"):
        for_inference(copy.deepcopy(make_small_network(HEADS[0])), "int8", torch.device("meta"))


def test_int8_has_a_scale_for_every_output(make_small_network):
    network = copy.deepcopy(make_small_network(HEADS[0]))
    linear = copy.deepcopy(network.encoder.layers[0].fc2)
    with torch.no_grad():
        for layer in (linear, network.encoder.layers[0].fc2):
            layer.weight[0] *= 1000
        x = torch.randn(50, linear.in_features)
        furthest = (for_inference(network, "int8", CPU).encoder.layers[0].fc2(x) - linear(x)).abs().amax(dim=0)
    assert furthest[1:].max() < furthest[0] / 100
