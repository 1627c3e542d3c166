"""A pretrained encoder as it was read, before its tokens are put in the order of our dictionary."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor

from ...errors import UserError
from ...families import Family
from ...modules.encoder import Encoder, EncoderShape
from ...modules.pondering import HeadsShape, PonderingClassifier
from ...tokenization.special_tokens import END, PADDING
from .names import ENCODER, ENCODER_FIELDS, NETWORK

POOLER = NETWORK + "pooler.copies.0."
TOKENS = ENCODER + "embed_tokens.weight"
SEGMENTS = ENCODER + "embed_segments.weight"


@dataclass(frozen=True)
class EncoderSource:
    """``weights`` are the tensors of the encoder, and of the pooler where there is one, under the names of this plugin.

    ``name``: for messages. ``files``: what was read. ``settings``: every field of ``models.palbert.ENCODER_FIELDS``.
    ``used``, ``dropped``: all tensors of the files, by their names there. ``native_rows``: whether the rows of the
    token embedding go by native ids of the vocabulary, or by the dictionary of fairseq, in ``dictionary`` where it is
    at hand. ``pooling``: of ``modules.pondering.POOLINGS``, None where the source does not say what its authors pooled.
    """

    name: str
    files: tuple[Path, ...]
    family: Family
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    used: list[str]
    dropped: list[str]
    native_rows: bool
    dictionary: Path | None = None
    pooling: str | None = None

    @property
    def initialised(self) -> list[str]:
        """Tensors that training can take over and this source does not have: the pooler's, if any."""
        return [POOLER + leaf for leaf in ("weight", "bias") if POOLER + leaf not in self.weights]


def shape_of(family: Family, settings: Mapping[str, Any], vocabulary: int) -> EncoderShape:
    """The shape of the encoder of these settings, over so many dictionary entries."""
    known = {ours: settings[setting] for ours, setting in ENCODER_FIELDS.items() if settings[setting] is not None}
    return EncoderShape(vocabulary=vocabulary, padding_id=PADDING, separator_id=END,
                        first_position=family.first_position, **known)


def expected_tensors(shape: EncoderShape) -> dict[str, Size]:
    """The size of every tensor of that encoder and its pooler, by name; no memory is taken for them."""
    with torch.device("meta"):
        network = PonderingClassifier(Encoder(shape), HeadsShape(outputs=1, lambda_module="none"))
    tensors = {NETWORK + name: tensor.shape for name, tensor in network.state_dict().items()}
    return {name: size for name, size in tensors.items() if name.startswith((ENCODER, POOLER))}


def check_tensor(name: str, tensor: Tensor, expected: Iterable[int], reason: str) -> None:
    """Raises UserError where ``tensor`` is not of the expected size, or not of floating-point numbers."""
    if tuple(tensor.shape) != tuple(expected) or not tensor.is_floating_point():
        raise UserError(f"{name} is {described(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}, but "
                        f"{reason} asks for {described(expected)} of floating-point numbers")


def described(size: Iterable[int]) -> str:
    """768 x 3072"""
    return " x ".join(map(str, size))
