"""Read the state of training that fairseq's trainer takes from a checkpoint."""

from typing import Any

from ...errors import UserError
from ...schema import BOOLEAN, OBJECT, Kind, check_fields, choice, integer, text
from .checkpoint_file import COUNT, PLAIN, read_checkpoint

NUMBER = Kind("a number", lambda value: type(value) in (int, float))  # the best score may be NaN
PLAIN_OBJECT = Kind("plain values by name", lambda value: isinstance(value, dict) and all(
    PLAIN.accepts(item) for item in value.values()))
PLACE = {"epoch": COUNT, "iterations_in_epoch": COUNT, "len": COUNT, "version": COUNT, "shuffle": BOOLEAN}
HISTORY = {"criterion_name": text(), "optimizer_name": text(), "num_updates": COUNT, "lr_scheduler_state": PLAIN_OBJECT}
PROGRESS = {"best": NUMBER, "previous_training_time": NUMBER}
# fairseq calls the class that a file names
METER = {"priority": integer(-2**53, 2**53), "key": text(), "values": OBJECT,
         "class": choice("AverageMeter", "SumMeter", "TimeMeter", "StopwatchMeter")}


def trainer_state(path: str) -> dict[str, Any]:
    """Weights, optimizer, progress and meters. What an older or converted checkpoint lacks has its value at a start.

    Raises UserError for a file that ``read_checkpoint`` refuses, and for values that fairseq's trainer does not write.
    """
    state = read_checkpoint(path, mapped=False)  # training overwrites the file that it goes on from
    history = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {}, "num_updates": 0}
    place = {"epoch": 1, "iterations_in_epoch": 0}
    try:
        extra = {"train_iterator": place, "metrics": {}, **(state.get("extra_state") or {})}
        place |= extra["train_iterator"]
        history |= (state.get("optimizer_history") or [history])[-1]
        check_fields(history, HISTORY, "optimizer_history.", exact=False)
        check_fields(extra, PROGRESS, "extra_state.", exact=False)
        check_fields(place, PLACE, "train_iterator.", exact=False)
        for meters in extra["metrics"].values():
            for priority, key, meter, values in meters:
                check_fields({"priority": priority, "key": key, "class": meter, "values": values}, METER, "metrics.")
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged state of training ({error}): go on from another checkpoint") from error
    return {"model": state["model"], "optimizer_history": [history], "extra_state": extra | {"train_iterator": place},
            "last_optimizer_state": state.get("last_optimizer_state")}
