"""What tells one family of encoders from another: a table of facts, no code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """``--arch palbert_NAME``, and what its checkpoints on the Hugging Face Hub look like.

    ``model_type``: what their ``config.json`` calls the family; ``architecture``: its class in ``transformers``.
    ``first_position``: the row of the position table that the first token takes.
    ``presets``: by preset, the model settings that it fills in (fields of ``models.palbert.PalbertConfig``).
    ``tensors``: our module, and theirs; three of theirs are query, key and value, which we keep as one, in this order.
    Weight and bias go by the same names. {layer} counts our layers from 0; {group} and {inner} are ALBERT's: the
    layer's group and its place there. The pooler stands among them as ``pooler``, all others are the encoder's.
    ``defaults``: what ``transformers`` takes where their ``config.json`` leaves a setting out, other than BERT's.
    ``fixed``: settings there that change what the encoder computes, and the one value that ours computes.
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
        """Whether embeddings are projected to the hidden size, as ALBERT's."""
        return "embed_projection" in self.tensors

    @property
    def has_segments(self) -> bool:
        """Whether its checkpoints have a table of segments, be it of one row."""
        return "embed_segments" in self.tensors

    @property
    def has_relative_bias(self) -> bool:
        return "relative_bias" in self.tensors

    @property
    def tells_segments(self) -> bool:
        """Whether its encoders, as published, tell the second sentence of a pair from the first."""
        return self.presets["base"]["encoder_segments"] > 1
