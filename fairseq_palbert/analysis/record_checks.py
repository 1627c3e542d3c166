"""The types, sizes and ranges of a record's fields and tensors.

Sizes: N layers, E examples, K outputs (classes, or 1 for regression).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..definitions.definition import TaskDefinition
from ..modules.encoder import EncoderShape
from ..modules.pondering import HeadsShape
from ..modules.recurrent import RecurrentShape
from ..schema import BOOLEAN, OBJECT, Kind, check_fields, integer, list_of, number, object_of, optional, text
from ..scores_file import MOST_EXAMPLES, MOST_LAYERS, NAME

PLAIN_KINDS = {
    "split": NAME, "glue_task": NAME, "labels": list_of(text(100), 0, 1000), "definition": optional(OBJECT),
    "rows": integer(1, MOST_EXAMPLES), "prior": optional(list_of(number(0, 1), 1, MOST_LAYERS)), "origin": OBJECT,
}
DEVICE_KINDS = {"type": NAME, "name": text(), "threads": integer(1, 2**20)}  # a GPU has no threads
ORIGIN_KINDS = {
    "command": list_of(text(10_000), 1, 10_000), "time": text(100),
    "checkpoint": object_of({"path": text(10_000), "sha256": text(64)}),
    "git": optional(object_of({"commit": NAME, "dirty": BOOLEAN})),
    "versions": Kind("an object of texts, torch among them", lambda value: isinstance(value, dict) and "torch" in value
                     and all(map(text(100).accepts, value.values()))),
    "device": OBJECT,
}
FLOATS = (torch.float16, torch.float32, torch.float64)
WHOLE = (torch.int64,)
FINITE = -torch.finfo(torch.float32).max, torch.finfo(torch.float32).max  # whose sums of squares float64 holds


def check_plain(about: Mapping[str, Any]) -> None:
    """Raises ValueError, whose message is a phrase, for the first wrong one of the fields ``PLAIN_KINDS``."""
    check_fields(about, PLAIN_KINDS)
    check_fields(about["origin"], ORIGIN_KINDS, "origin.")
    device = about["origin"]["device"]
    check_fields({"threads": 1, **device}, DEVICE_KINDS, "origin.device.")


def encoder_of(fields: Any) -> EncoderShape | RecurrentShape:
    """The shape of these fields; a recurrent cell names its ``cell``. Raises ValueError, whose message is a phrase."""
    return shape_of(RecurrentShape if isinstance(fields, dict) and "cell" in fields else EncoderShape, fields)


def shape_of(kind: type, fields: Any) -> Any:
    """The shape of this kind with these fields. Raises ValueError, whose message is a phrase."""
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"the fields {fields!r:.60} are of no {kind.__name__}") from error


def check_agreement(about: Mapping[str, Any], task: TaskDefinition, encoder: EncoderShape | RecurrentShape,
                    heads: HeadsShape, tensors: Mapping[str, Tensor | None]) -> None:
    """Raises ValueError, whose message is a phrase, where fields and tensors contradict the task or each other.

    ``tensors``: ids, lengths, targets, groups, text_scores, halting_logits, logits and error_logits, where they are
    there. Groups and their scores are those of a task with groups, and no other.
    """
    layers = encoder.layers
    if heads.outputs != task.outputs:
        raise ValueError(f"outputs {heads.outputs} are not those of {task.name}, {task.outputs}")
    if about["prior"] is not None and len(about["prior"]) != layers:
        raise ValueError(f"has a prior of {len(about['prior'])} layers, and {layers} layers")
    for name, (dtypes, size, low, high) in _wanted(task, about["rows"], encoder, heads, tensors).items():
        if (tensor := tensors.get(name)) is None:
            raise ValueError(f"has no {name}")
        if tensor.dtype not in dtypes or tuple(tensor.shape) != size:
            raise ValueError(f"{name} is {tensor.dtype} {list(tensor.shape)}, and should be {dtypes[0]} {list(size)}")
        if not all(low <= float(end) <= high for end in (tensor.aminmax() if tensor.numel() else ())):  # false for NaN
            raise ValueError(f"{name} has values outside {low:g} to {high:g}, or NaN")
    if not tensors["ids"].diff().gt(0).all():
        raise ValueError("ids are not ascending, each once")


def _wanted(task: TaskDefinition, rows: int, encoder: EncoderShape | RecurrentShape, heads: HeadsShape,
            tensors: Mapping[str, Tensor | None]) -> dict[str, tuple]:
    """The types, size and range of each tensor that the record should have."""
    examples = max(len(tensors["ids"]), 1) if tensors.get("ids") is not None else 1
    by_layer = (encoder.layers - 1, examples)
    wanted = {
        "ids": (WHOLE, (examples,), 0, rows - 1),
        "lengths": (WHOLE, (examples,), 1, encoder.max_positions),
        "logits": (FLOATS, (encoder.layers, examples, task.outputs), *FINITE),
    }
    if tensors.get("targets") is not None:
        span = task.score_range or (0, task.outputs - 1)
        wanted["targets"] = FLOATS if task.regression else WHOLE, (examples,), *span
    for name, there, kind in (
            ("halting_logits", heads.halts, (FLOATS, by_layer, *FINITE)),
            ("error_logits", heads.learned_exit, (FLOATS, by_layer, *FINITE)),
            ("groups", task.groups is not None, (WHOLE, (examples,), 0, rows - 1)),
            ("text_scores", task.scores_texts and "targets" in wanted, (FLOATS, (examples, 2), 0, 1))):
        if there:
            wanted[name] = kind
        elif tensors.get(name) is not None:
            raise ValueError(f"has {name}, and {'heads' if kind[1] == by_layer else 'a task'} without them")
    return wanted
