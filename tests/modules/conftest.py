"""A tiny pondering classifier in every configuration."""

import itertools

import pytest
import torch

from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier

LAMBDA_MODULES = [
    {"lambda_module": "linear"},
    {"lambda_module": "rnn"},
    {"lambda_module": "mlp", "lambda_reads": "both", "lambda_width": 5, "lambda_depth": 2, "pooling": "mean"},
    *({"lambda_module": "mlp", "lambda_input": joined, "lambda_lookback": lookback, "lambda_depth": 3 - lookback}
      for joined in ("concat", "diff", "both") for lookback in (1, 2)),
]
SWITCHES = ("per_layer_pooler", "per_layer_classifier", "per_layer_lambda", "lambda_layer_embedding", "lambda_detach")
SHAPE = EncoderShape(vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=3, hidden=8, ffn_hidden=12, heads=2)


def _configurations():
    for lambda_module in LAMBDA_MODULES:
        for values in itertools.product((False, True), repeat=len(SWITCHES)):
            switches = dict(zip(SWITCHES, values, strict=True))
            yield HeadsShape(outputs=3, classifier_dropout=0.0, **lambda_module, **switches)


@pytest.fixture(scope="session")
def configurations() -> list[HeadsShape]:
    """Every lambda module, with every way to share and to feed it: 288 of them."""
    return list(_configurations())


@pytest.fixture(scope="session")
def make_network():
    """make_network(heads) is the same tiny network at every call, in evaluation mode, its weights not near zero."""

    def make(heads: HeadsShape, shape: EncoderShape = SHAPE) -> PonderingClassifier:
        torch.manual_seed(0)
        network = PonderingClassifier(Encoder(shape), heads).eval()
        for parameter in network.parameters():
            parameter.data += 0.3 * torch.randn_like(parameter)
        return network

    return make


@pytest.fixture(scope="session")
def tokens() -> torch.Tensor:
    """Five sentences of 9, 1, 4, 6 and 2 tokens, padded with id 1."""
    torch.manual_seed(1)
    tokens = torch.randint(2, SHAPE.vocabulary, (5, 9))
    for row, length in zip(tokens, (9, 1, 4, 6, 2), strict=True):
        row[length:] = SHAPE.padding_id
    return tokens
