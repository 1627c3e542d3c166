"""Runs a command as a process: one line for a mistake, an exit status, signals, closed streams."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from .errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF}
# How a standard stream that the caller has closed is opened: input is empty, output fails, messages go nowhere.
CLOSED = {"stdin": ("r", os.O_RDONLY), "stdout": ("w", os.O_RDONLY), "stderr": ("w", os.O_WRONLY)}


def run(main: Callable[[], None]) -> NoReturn:
    """Calls ``main``, and ends the process: with status 0; 1 after a UserError and for an output that takes no more,
    which are told in one line; and 128 + the signal's number after SIGINT, SIGTERM, and where nobody reads standard
    output."""
    _open_closed_streams()
    signal.signal(signal.SIGTERM, _terminate)
    logging.getLogger(__package__).setLevel(logging.INFO)
    try:
        status = _status(main)
        sys.stdout.flush()  # what Python would else write after the end, when an error cannot be told any more
    except UserError as error:
        status = error.line
    except KeyboardInterrupt:
        print("fairseq_palbert: interrupted", file=sys.stderr)
        status = 128 + signal.SIGINT
    except BrokenPipeError:
        _discard_output()
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in FULL:
            raise
        _discard_output()
        status = UserError(f"{error.filename or 'output'}: cannot be written ({error.strerror}): choose another "
                           "place").line
    sys.exit(status)


def _status(main: Callable[[], None]) -> int | str | None:
    """That of ``sys.exit``, as argparse calls it."""
    try:
        main()
    except SystemExit as end:
        return end.code
    return 0


def _discard_output() -> None:
    """What is left in the buffer of standard output goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """Else a file that is opened later would take the number of a closed stream, and what is written to it."""
    for number, (name, (mode, flags)) in enumerate(CLOSED.items()):
        if getattr(sys, name) is None:
            os.open(os.devnull, flags)  # the lowest number that is free: this one
            setattr(sys, name, open(number, mode))


def _terminate(number: int, frame: object) -> NoReturn:
    """Ends as an exception does, so that what was begun is cleared away; once."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
