"""A pretrained encoder as it was read from its files."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Size, Tensor

from ...errors import UserError
from ...families import Family
from ...modules.encoder import Encoder, EncoderShape
from ...modules.pondering import HeadsShape, PonderingClassifier
from ...modules.without_memory import without_memory
from ...tokenization.special_tokens import END, PADDING
from .names import ENCODER, ENCODER_FIELDS, NETWORK

POOLER = NETWORK + "pooler.copies.0."
TOKENS = ENCODER + "embed_tokens.weight"
SEGMENTS = ENCODER + "embed_segments.weight"


@dataclass(frozen=True)
class EncoderSource:
    """The ``weights`` of an encoder, and of its pooler if it has one, under the names of this plugin.

    ``name`` is for messages, and ``files`` are those that were read. ``settings`` has every setting of
    ``names.ENCODER_FIELDS``. ``used`` and ``dropped`` name all tensors of the files, as the files do.
    ``native_rows``: the token embedding is indexed by native ids of the vocabulary, otherwise by fairseq's dictionary,
    whose file is ``dictionary`` if there is one. ``pooling`` is one of ``modules.pondering.POOLINGS``, or None where
    the source does not name it.
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
        """Tensors that this source lacks and training initialises: the pooler's, if any."""
        return [POOLER + leaf for leaf in ("weight", "bias") if POOLER + leaf not in self.weights]


def shape_of(name: str, family: Family, settings: Mapping[str, Any], vocabulary: int) -> EncoderShape:
    """The shape of the encoder with these settings and ``vocabulary`` dictionary entries.

    Raises UserError, which begins with ``name``, for a setting of another type or out of range.
    """
    given = {ours: settings[setting] for ours, setting in ENCODER_FIELDS.items() if settings[setting] is not None}
    try:
        return EncoderShape(vocabulary=vocabulary, padding_id=PADDING, separator_id=END,
                            first_position=family.first_position, **given)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def check_layers(name: str, shape: EncoderShape, stored: Collection) -> None:
    """Raises UserError where fewer tensors are stored than there are layers, before so many layers are built."""
    layers = (shape.groups or shape.layers) * shape.inner_layers
    if layers > len(stored):
        raise UserError(f"{name}: has {len(stored)} tensors, too few for {layers} layers, which its settings ask for")


def expected_tensors(shape: EncoderShape) -> dict[str, Size]:
    """The size of every tensor of the encoder and its pooler, by name."""
    with without_memory():
        network = PonderingClassifier(Encoder(shape), HeadsShape(outputs=1, lambda_module="none"))
    tensors = {NETWORK + name: tensor.shape for name, tensor in network.state_dict().items()}
    return {name: size for name, size in tensors.items() if name.startswith((ENCODER, POOLER))}


def check_tensor(name: str, tensor: Tensor, expected: Iterable[int], reason: str) -> None:
    """Raises UserError where ``tensor`` has another size than expected, or is not of a floating-point type."""
    if tuple(tensor.shape) != tuple(expected) or not tensor.is_floating_point():
        raise UserError(f"{name} is {described(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}, but "
                        f"{reason} asks for {described(expected)} of floating-point numbers")


def described(size: Iterable[int]) -> str:
    """A size for a message: 768 x 3072"""
    return " x ".join(map(str, size))
