"""Fixtures: small random networks whose sentences exit at different layers."""

import pytest
import torch
from torch import nn

from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.modules.recurrent import RecurrentEncoder, RecurrentShape

PADDING = 1
FAMILIES = {"roberta": {"first_position": PADDING + 1}, "bert": {"segments": 2},
            "albert": {"segments": 2, "embedding": 8, "groups": 1},
            "mpnet": {"first_position": PADDING + 1, "relative_buckets": 8}}


def varied_network(vocabulary: int = 60, layers: int = 5, hidden: int = 16, max_positions: int = 40, seed: int = 0,
                   halting_bias: float = 0.0, family: str = "roberta", **heads) -> PonderingClassifier:
    """Returns a network whose answers depend on the sentence at every layer.

    Its weights are initialised an order of magnitude wider than for training. ``halting_bias`` is added to the halting
    logits: at 50 sentences exit at layer 1, at −50 at the last.
    """
    torch.manual_seed(seed)
    encoder = Encoder(EncoderShape(vocabulary, PADDING, 2, max_positions, layers, hidden, 2 * hidden, 2,
                                   **FAMILIES[family]))
    network = PonderingClassifier(encoder, HeadsShape(**{"outputs": 2, **heads})).eval()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=(2 if "lambda_module" in name else 1) * parameter.shape[1] ** -0.5)
    with torch.no_grad():
        for readout in network.lambda_module.readout.copies if network.halts else ():
            last = readout if isinstance(readout, nn.Linear) else readout[-1]
            last.bias += halting_bias
    return network


def varied_recurrent_network(cell: str, inputs: int = 7, layers: int = 6, hidden: int = 16) -> PonderingClassifier:
    """Returns a network whose states and answers depend on the input vector at every step.

    The halting of its steps differs.
    """
    torch.manual_seed(0)
    encoder = RecurrentEncoder(RecurrentShape(inputs, layers, hidden, cell))
    network = PonderingClassifier(encoder, HeadsShape(outputs=2, pooling="none", lambda_module="linear")).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=2 * parameter.shape[-1] ** -0.5)
    with torch.no_grad():
        network.lambda_module.readout.copies[0][-1].bias -= 1
    return network


def random_sentences(count: int, longest: int = 30, vocabulary: int = 60, seed: int = 1) -> list[torch.Tensor]:
    """Returns token ids without padding; the lengths vary, and the first is 1."""
    generator = torch.Generator().manual_seed(seed)
    lengths = [1, *torch.randint(1, longest + 1, (count - 1,), generator=generator).tolist()]
    return [torch.randint(PADDING + 1, vocabulary, (length,), generator=generator) for length in lengths]


@pytest.fixture
def make_network():
    return varied_network


@pytest.fixture
def make_sentences():
    return random_sentences
