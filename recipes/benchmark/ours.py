"""Our network: with random weights, with another pooling, and ready for inference."""

import copy
from dataclasses import replace

import torch

from fairseq_palbert.inference.for_inference import for_inference
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.tokenization.special_tokens import END, PADDING


def random_network(vocabulary: int, layers: int, hidden: int, outputs: int) -> PonderingClassifier:
    """A RoBERTa of 64 units a head with PALBERT's lambda module and random weights, in evaluation mode."""
    shape = EncoderShape(vocabulary=vocabulary, padding_id=PADDING, separator_id=END, max_positions=512, layers=layers,
                         hidden=hidden, ffn_hidden=4 * hidden, heads=hidden // 64, first_position=PADDING + 1)
    return PonderingClassifier(Encoder(shape), HeadsShape(outputs=outputs)).eval().requires_grad_(False)


def with_pooling(network: PonderingClassifier, pooling: str) -> PonderingClassifier:
    """A copy of the network whose heads read another pooling."""
    other = copy.deepcopy(network)
    other.heads_shape = replace(network.heads_shape, pooling=pooling)
    return other


def ready(network: PonderingClassifier, dtype: str, device: torch.device) -> PonderingClassifier:
    return for_inference(copy.deepcopy(network), dtype, device)
