"""Read a checkpoint of fairseq, ours or its own, as plain values and checked tensors."""

import reprlib
from argparse import Namespace
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...schema import BOOLEAN, OBJECT, Kind, check_fields, integer, list_of, number, optional, text
from ...tokenization.identity import TOKENIZER_KIND
from .torch_file import read_torch_file
from .weights import check_weights

REMEDY = "give a checkpoint of fairseq-train or palbert convert"

COUNT = integer(0, 2**53)
PLAIN = Kind("a plain value", lambda value: isinstance(value, bool | int | float | str | None))
PLAIN_LIST = list_of(PLAIN, 0, 10000)
TASK = {"glue_task": optional(text(100)), "label_order": optional(text()), "holdout_fraction": number(0, 1)}
TASK_STATE = {"tokenizer": optional(TOKENIZER_KIND), "dictionary": optional(text(100)),
              "detokenized": optional(BOOLEAN), "task": optional(text(100)),
              "labels": optional(list_of(text(100), 0, 1000)), "definition": optional(OBJECT)}


def read_checkpoint(path: str | Path, name: str | None = None, mapped: bool = True) -> dict[str, Any]:
    """The whole checkpoint, its configuration ``cfg`` as plain values by part and name.

    Tensors that are ``mapped`` into memory change with the file: copy them before it may be written again.

    Raises UserError, which begins with ``name``, by default the path, for a file that ``read_torch_file`` or
    ``check_weights`` refuses or that is not a fairseq checkpoint, and for values that no checkpoint has.
    """
    name = name or str(path)
    try:
        state = read_torch_file(path, mapped)
    except ValueError as error:
        raise UserError(f"{name} cannot be read as a checkpoint: truncated, damaged, or another kind of file "
                        f"({error}): {REMEDY}") from error
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise UserError(f"{name} is not a fairseq checkpoint: it has no 'model': {REMEDY}")
    check_weights(name, state["model"])
    for tensor in (tensor for tensor, value in state["model"].items() if not value.dim()):
        raise UserError(f"{name}: {tensor} is a single number, which no weight of an encoder is")
    cfg = state.get("cfg")
    state["cfg"] = {part: _plain(values) for part, values in _named(cfg).items()}
    try:
        check_fields(state["cfg"].get("task", {}), TASK, "task.", exact=False)
        if state.get("task_state") is not None:
            check_fields(state["task_state"], TASK_STATE, "task_state.", exact=False)
    except ValueError as error:
        raise UserError(f"{name}: {error}: train it again") from error
    return state


def _plain(values: Any) -> dict[str, Any]:
    """A part of the configuration, empty where there is none; what is neither a scalar nor a list of them, as text.

    A pickle can nest lists so that to compare or to print them takes any time and memory.
    """
    values = vars(values) if isinstance(values, Namespace) else values
    return {setting: value if PLAIN.accepts(value) or PLAIN_LIST.accepts(value) else reprlib.repr(value)
            for setting, value in _named(values).items()}


def _named(values: Any) -> dict[str, Any]:
    """The values that have a name; none of what is no dictionary."""
    return {name: value for name, value in values.items() if isinstance(name, str)} if isinstance(values, dict) else {}


def model_settings(state: dict[str, Any]) -> dict[str, Any]:
    """The flags that the checkpoint's model was built with; in old checkpoints, those of all its training."""
    return state["cfg"].get("model") or _plain(state.get("args"))


def updates_of(name: str, state: dict[str, Any]) -> int:
    """The number of training updates, 0 where the checkpoint does not count them. Raises UserError for another value.
    """
    history = state.get("optimizer_history") or [{}]
    last = history[-1] if isinstance(history, list) else None
    updates = last.get("num_updates", 0) if isinstance(last, dict) else None
    if not COUNT.accepts(updates):
        raise UserError(f"{name}: its updates are {reprlib.repr(updates)}, and should be {COUNT.description}")
    return updates
