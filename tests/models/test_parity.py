"""Tests of every encoder layer against the RoBERTa of fairseq and of transformers, with equal weights."""

import pytest
import torch

from fairseq_palbert.families import FAMILIES
from fairseq_palbert.modules.batch import PaddedBatch
from fairseq_palbert.modules.encoder import Encoder, EncoderShape

TOLERANCE = 1e-5
LENGTHS = (12, 1, 5, 2, 9)


@pytest.fixture(scope="module")
def tokens():
    torch.manual_seed(3)
    tokens = torch.randint(4, 50, (len(LENGTHS), max(LENGTHS)))
    for row, length in zip(tokens, LENGTHS, strict=True):
        row[length:] = 1
    return tokens


def our_layers(encoder, tokens):
    batch = PaddedBatch(tokens, encoder.shape.padding_id)
    layers = [encoder.embed(batch)]
    for n in range(1, encoder.depth + 1):
        layers.append(encoder.step(n, layers[-1], batch))
    return [batch.pad(layer) for layer in layers]


def stock_layers(stock, tokens):
    """Returns the embeddings, then every layer, as [B, T, C]."""
    _, extra = stock(tokens, features_only=True, return_all_hiddens=True)
    return [layer.transpose(0, 1) for layer in extra["inner_states"]]


def assert_agree(ours, theirs, lengths):
    assert len(ours) == len(theirs)
    for mine, their in zip(ours, theirs):
        for i, length in enumerate(lengths):
            assert (mine[i, :length] - their[i, :length]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("activation", ["gelu", "relu", "tanh"])
def test_agrees_with_fairseq_at_every_layer_padded_and_alone(build, make_stock, tokens, activation):
    stock = make_stock(activation_fn=activation)
    model = build("--activation-fn", activation)
    model.load_state_dict(stock.state_dict())
    encoder = model.network.encoder
    with torch.no_grad():
        assert_agree(our_layers(encoder, tokens), stock_layers(stock, tokens), LENGTHS)
        for i, length in enumerate(LENGTHS):
            alone = tokens[i:i + 1, :length]
            assert_agree(our_layers(encoder, alone), stock_layers(stock, alone), [length])
            assert_agree(our_layers(encoder, tokens[i:i + 1]), stock_layers(stock, alone), [length])


def test_agrees_with_fairseq_at_the_size_of_roberta_base(build, make_stock, tokens):
    stock = make_stock(**FAMILIES["roberta"].presets["base"])
    model = build(arch=("--arch", "palbert_roberta_base", "--lambda-module", "linear"))
    for parameter in stock.parameters():
        parameter.data *= 0.25  # back to about the spread of pretrained weights
    model.load_state_dict(stock.state_dict())
    with torch.no_grad():
        assert_agree(our_layers(model.network.encoder, tokens), stock_layers(stock, tokens), LENGTHS)


TRANSFORMERS_NAMES = {
    "embeddings.word_embeddings": "embed_tokens", "embeddings.position_embeddings": "embed_positions",
    "embeddings.LayerNorm": "embedding_norm", "encoder.layer.": "layers.", "attention.output.dense": "out_proj",
    "attention.output.LayerNorm": "attention_norm", "intermediate.dense": "fc1", "output.dense": "fc2",
    "output.LayerNorm": "output_norm",
}


def from_transformers(weights):
    ours = {}
    for name, tensor in weights.items():
        if "attention.self.query" in name:
            tensor = torch.cat([weights[name.replace("query", part)] for part in ("query", "key", "value")])
            name = name.replace("attention.self.query", "qkv_proj")
        for theirs, mine in TRANSFORMERS_NAMES.items():
            name = name.replace(theirs, mine)
        if not any(part in name for part in ("token_type", "attention.self", "position_ids")):
            ours[name] = tensor
    return ours


def test_agrees_with_transformers_at_every_layer(tokens):
    transformers = pytest.importorskip("transformers", reason="needs recipes/requirements-benchmark.txt")
    torch.manual_seed(4)
    theirs = transformers.RobertaModel(transformers.RobertaConfig(
        vocab_size=55, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=34, type_vocab_size=1, pad_token_id=1, layer_norm_eps=1e-5,
    ), add_pooling_layer=False).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    theirs.embeddings.token_type_embeddings.weight.data.zero_()  # transformers' token types; fairseq's RoBERTa has none
    encoder = Encoder(EncoderShape(vocabulary=55, padding_id=1, separator_id=2, max_positions=32, layers=3, hidden=16,
                                   ffn_hidden=24, heads=2, first_position=2)).eval()
    encoder.load_state_dict(from_transformers(theirs.state_dict()))
    with torch.no_grad():
        expected = theirs(tokens, attention_mask=tokens.ne(1).long(), output_hidden_states=True).hidden_states
        assert_agree(our_layers(encoder, tokens), expected, LENGTHS)
