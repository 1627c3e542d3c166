"""Load fairseq and register every part of this plugin with it."""

import functools
import sys
from collections.abc import Callable
from typing import Any

from . import criterions, models, optim, tasks
from .checkpoints.loading import check_trained
from .compat.fairseq_trainer import check_checkpoints_by
from .errors import UserError

REGISTERED = (
    tasks.sentence_task.SentenceTask, tasks.parity.ParityTask, models.palbert.PalbertModel,
    models.ponder_rnn.PonderRnnModel, models.act_rnn.ActRnnModel, optim.ponder_adam.PonderAdam,
    criterions.ponder_classification.PonderClassification, criterions.multi_exit_classification.MultiExitClassification,
    criterions.act.Act,
)


def guard_commands() -> None:
    """Makes fairseq's commands refuse checkpoints that are not ours, and end on a UserError with its line and status 1.

    fairseq would not pass the UserError on: ``Trainer.load_checkpoint`` replaces it by another exception, and
    ``Trainer.train_step`` saves crash.pt. For a worker's, torch prints a traceback, and so does Hydra.
    """
    for part in {part for registered in REGISTERED for part in registered.__mro__
                 if part.__module__.startswith(__package__)}:
        for name, method in list(vars(part).items()):
            if isinstance(method, staticmethod | classmethod):
                setattr(part, name, type(method)(_exiting_on_user_error(method.__func__)))
            elif callable(method) and not isinstance(method, type):
                setattr(part, name, _exiting_on_user_error(method))
    check_checkpoints_by(_exiting_on_user_error(check_trained))
    sys.excepthook = functools.partial(_silent_after_worker, sys.excepthook)


def _exiting_on_user_error(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except UserError as error:
            sys.exit(error.line)

    return call


def _silent_after_worker(default_hook: Callable, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """An excepthook that prints nothing where a spawned worker has exited with status 1 and printed its own error."""
    from torch.multiprocessing import ProcessExitedException

    if not (isinstance(error, ProcessExitedException) and error.exit_code == 1):
        default_hook(kind, error, trace)
