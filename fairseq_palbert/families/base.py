"""The facts that distinguish encoder families, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """``--arch palbert_NAME``, and the layout of its checkpoints on the Hugging Face Hub.

    ``model_type``: the family's name in ``config.json``; ``architecture``: its class in ``transformers``.
    ``first_position``: the first token's row of the position table.
    ``presets``: the model settings of each preset (fields of ``models.palbert.PalbertConfig``).
    ``tensors``: from our module to theirs. Three of theirs are query, key and value, which we join in this order.
    Weight and bias have the same names. {layer} counts our layers from 0. {group} and {inner} are ALBERT's: the layer's
    group and its index in it. ``pooler`` is the pooler; all others belong to the encoder.
    ``defaults``: the values in ``transformers`` of settings that ``config.json`` omits, where they are not BERT's.
    ``fixed``: settings there that change what the encoder computes, with the only value that we support.
    """

    name: str
    model_type: str
    architecture: str
    first_position: int
    presets: Mapping[str, Mapping[str, Any]]
    tensors: Mapping[str, str | tuple[str, str, str]]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def factorised(self) -> bool:
        """Whether embeddings are projected to the hidden size, as in ALBERT."""
        return "embed_projection" in self.tensors

    @property
    def has_segments(self) -> bool:
        """Whether its checkpoints have a segment table, even one of a single row."""
        return "embed_segments" in self.tensors

    @property
    def has_relative_bias(self) -> bool:
        return "relative_bias" in self.tensors

    @property
    def tells_segments(self) -> bool:
        """Whether its published encoders distinguish the second sentence of a pair from the first."""
        return self.presets["base"]["encoder_segments"] > 1
