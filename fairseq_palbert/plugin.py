"""Loads fairseq, and registers every part with it by name."""

import functools
import logging
import sys
from collections.abc import Callable
from typing import Any

from .errors import UserError

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # asks for tensorboardX, which no one needs
_level = logging.getLogger().level
from . import criterions, models, optim, tasks  # noqa: E402

logging.getLogger().setLevel(_level)  # importing fairseq lets every library's debug lines through

REGISTERED = (
    tasks.glue_task.GlueSentenceTask, models.palbert.PalbertModel, optim.ponder_adam.PonderAdam,
    criterions.ponder_classification.PonderClassification, criterions.multi_exit_classification.MultiExitClassification,
)


def exit_on_user_errors() -> None:
    """Makes every method that fairseq calls end the process with the line of a UserError and status 1.

    A UserError itself would not get through: ``Trainer.load_checkpoint`` raises another exception in its place,
    ``Trainer.train_step`` saves crash.pt, torch turns a worker's into a traceback, and Hydra prints one.
    """
    for part in {part for registered in REGISTERED for part in registered.__mro__
                 if part.__module__.startswith(__package__)}:
        for name, method in list(vars(part).items()):
            if isinstance(method, staticmethod | classmethod):
                setattr(part, name, type(method)(_exiting(method.__func__)))
            elif callable(method) and not isinstance(method, type):
                setattr(part, name, _exiting(method))
    sys.excepthook = functools.partial(_after_worker, sys.excepthook)


def _exiting(method: Callable) -> Callable:
    @functools.wraps(method)
    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except UserError as error:
            sys.exit(error.line)

    return call


def _after_worker(usual: Callable, kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """A spawned worker that has ended by itself has told why: what its parent raises then adds nothing."""
    from torch.multiprocessing import ProcessExitedException

    if not (isinstance(error, ProcessExitedException) and error.exit_code == 1):
        usual(kind, error, trace)
