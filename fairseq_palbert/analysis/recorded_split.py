"""The record of one pass over a split: every layer's answers.

Any exit rule can be replayed and scored from this one file. Sizes: N layers, E examples, K outputs (classes, or 1 for
regression).
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..errors import UserError
from ..exits.base import Recording
from ..glue.definitions import TASKS
from ..glue.metrics import GlueMetrics
from ..modules.encoder import EncoderShape
from ..modules.pondering import HeadsShape

FORMAT = "fairseq_palbert record 1"
REMEDY = "make the record again with palbert evaluate --record"


@dataclass(frozen=True)
class RecordedSplit:
    """A model's answers at every depth of a split, and what scoring them needs; neither model nor data.

    ``labels``: class names by id, empty for regression. ``rows``: rows of the split's file, more than E where the split
    is a part of it. ``ids``: each example's row [E]. ``lengths``: tokens, special ones included [E]. ``targets``: [E],
    None where labels are unknown. ``prior``: the training's prior on layers 1..N, None where it had none. ``origin``:
    the ``provenance`` of the pass, with the checkpoint's SHA-256.
    """

    split: str
    glue_task: str
    labels: list[str]
    rows: int
    encoder: EncoderShape
    heads: HeadsShape
    prior: list[float] | None
    origin: dict[str, Any]
    ids: Tensor
    lengths: Tensor
    targets: Tensor | None
    recording: Recording

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
    def metrics(self) -> GlueMetrics:
        return GlueMetrics(TASKS[self.glue_task], self.labels)


_TENSORS = ("ids", "lengths", "targets")
_RECORDED = ("halting_logits", "logits", "error_logits")
_PLAIN = ("split", "glue_task", "labels", "rows", "prior", "origin")


def write_record(path: Path, recorded: RecordedSplit) -> None:
    """Write one safetensors file: the tensors, and all other fields as JSON in its metadata."""
    tensors = {name: getattr(recorded, name) for name in _TENSORS}
    tensors |= {name: getattr(recorded.recording, name) for name in _RECORDED}
    about = {name: getattr(recorded, name) for name in _PLAIN}
    about |= {"encoder": asdict(recorded.encoder), "heads": asdict(recorded.heads)}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}, path,
              metadata={"format": FORMAT, "about": json.dumps(about)})


def read_record(path: Path) -> RecordedSplit:
    """Read a record. Raises UserError for a file that is missing, damaged, or not a record."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}: name the file of palbert evaluate --record") from error
    except SafetensorError as error:
        raise UserError(f"{path}: truncated, or not a record ({error}); {REMEDY}") from error
    if metadata.get("format") != FORMAT:
        raise UserError(f"{path}: not a record of this version of fairseq_palbert (it is not of the format "
                        f"{FORMAT!r}); {REMEDY}")
    about = json.loads(metadata["about"])
    encoder, heads = EncoderShape(**about.pop("encoder")), HeadsShape(**about.pop("heads"))
    recording = Recording(*(tensors.get(name) for name in _RECORDED))
    return RecordedSplit(**about, encoder=encoder, heads=heads, recording=recording,
                         **{name: tensors.get(name) for name in _TENSORS})
