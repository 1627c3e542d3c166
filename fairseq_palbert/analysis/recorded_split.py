"""The record of one pass over a split: every layer's answers.

Any exit rule can be replayed and scored from this one file. Sizes: N layers, E examples, K outputs (classes, or 1 for
regression).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..definitions.definition import TaskDefinition
from ..definitions.metrics import References, TaskMetrics
from ..definitions.packaged import recorded as definition_to_record
from ..definitions.packaged import restored
from ..errors import UserError
from ..exits.base import Recording
from ..json_files import parse_object
from ..modules.encoder import EncoderShape
from ..modules.pondering import HeadsShape
from ..modules.recurrent import RecurrentShape
from .record_checks import PLAIN_KINDS, check_agreement, check_plain, encoder_of, shape_of
from .tensor_file import read_tensors, write_tensors

RECORD_FILE = "record.safetensors"
FORMAT = "fairseq_palbert record 1"
SHAPES = {"encoder": encoder_of, "heads": partial(shape_of, HeadsShape)}
REMEDY = "make the record again with palbert evaluate --record"


@dataclass(frozen=True)
class RecordedSplit:
    """A model's answers at every depth of a split, and what scoring them needs; neither model nor data.

    ``task``: its labels are in the order of the class ids. ``rows``: rows of the split's file, more than E where the
    split is a part of it. ``ids``: each example's row [E]. ``lengths``: tokens, special ones included [E]. ``targets``:
    [E], None where labels are unknown. ``prior``: the training's prior on layers 1..N, None where it had none.
    ``origin``: the ``provenance`` of the pass, with the checkpoint's SHA-256. ``groups`` [E] and ``text_scores`` [E,
    2]: those of ``References``.
    """

    split: str
    task: TaskDefinition
    rows: int
    encoder: EncoderShape | RecurrentShape
    heads: HeadsShape
    prior: list[float] | None
    origin: dict[str, Any]
    ids: Tensor
    lengths: Tensor
    targets: Tensor | None
    recording: Recording
    groups: Tensor | None = None
    text_scores: Tensor | None = None

    @property
    def depth(self) -> int:
        return self.encoder.layers

    @property
    def outputs(self) -> int:
        return self.heads.outputs

    @property
    def halts(self) -> bool:
        return self.heads.halts

    @property
    def learns_exit(self) -> bool:
        return self.heads.learned_exit

    @cached_property
    def metrics(self) -> TaskMetrics:
        return TaskMetrics(self.task)

    @property
    def references(self) -> References:
        return References(self.targets, self.groups, self.text_scores)

    @cached_property
    def unit_of(self) -> Tensor:
        """The number, from 0, of what counts once in a metric: the example, or its group. Shape: [E]."""
        if self.groups is None:
            return torch.arange(len(self.ids))
        return self.groups.unique(return_inverse=True)[1]

    @property
    def units(self) -> int:
        """How many examples, or groups, the split has."""
        return int(self.unit_of.max()) + 1


TENSORS = ("ids", "lengths", "targets", "groups", "text_scores")
RECORDED = ("halting_logits", "logits", "error_logits")


def write_record(path: Path, recorded: RecordedSplit) -> None:
    """Write one safetensors file: the tensors, and all other fields as JSON in its metadata."""
    tensors = {name: getattr(recorded, name) for name in TENSORS}
    tensors |= {name: getattr(recorded.recording, name) for name in RECORDED}
    about = plain_fields(recorded)
    about |= {"encoder": asdict(recorded.encoder), "heads": asdict(recorded.heads)}
    write_tensors(path, {"format": FORMAT, "about": json.dumps(about)},
                  {name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None})


def plain_fields(recorded: RecordedSplit) -> dict[str, Any]:
    """The fields ``PLAIN_KINDS``; a task of the package is recorded by its name and labels."""
    task = recorded.task
    fields = {"glue_task": task.name, "labels": list(task.labels), "definition": definition_to_record(task)}
    return fields | {name: getattr(recorded, name) for name in PLAIN_KINDS if name not in fields}


def read_record(path: Path) -> RecordedSplit:
    """Read a record. Raises UserError for a file that is missing, damaged, no record, or contradicts itself."""
    metadata, tensors = read_tensors(path, FORMAT, REMEDY)
    try:
        return checked_split(parse_object(metadata.get("about", "")), tensors)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {REMEDY}") from error


def checked_split(about: dict[str, Any], tensors: Mapping[str, Tensor | None]) -> RecordedSplit:
    """The record of these plain fields and tensors.

    Raises ValueError, whose message is a phrase, where one of them is missing, of another type or size, out of range
    or not finite, or where they contradict each other.
    """
    shapes = {name: shape_in(about.pop(name, None)) for name, shape_in in SHAPES.items()}
    about.setdefault("definition", None)  # which earlier versions lack
    check_plain(about)
    task = restored(about.pop("glue_task"), about.pop("definition"), about.pop("labels"))
    check_agreement(about, task, **shapes, tensors=tensors)
    return RecordedSplit(task=task, **about, **shapes, **{name: tensors.get(name) for name in TENSORS},
                         recording=Recording(*(tensors.get(name) for name in RECORDED)))
