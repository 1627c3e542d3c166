"""Run a command: error lines, exit status, signals and closed streams."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from .errors import UserError

OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF}
PATH_ERRORS = {errno.ENAMETOOLONG}
# mode and flags that open a stream the caller has closed: input is empty, output fails, messages are discarded
CLOSED = {"stdin": ("r", os.O_RDONLY), "stdout": ("w", os.O_RDONLY), "stderr": ("w", os.O_WRONLY)}


def run(main: Callable[[], None]) -> NoReturn:
    """Calls ``main`` and ends the process with an exit status.

    The status is 0 on success, and 1, with one line on stderr, after a UserError or where the output cannot be written.
    After SIGINT and SIGTERM it is 128 + the signal's number, and 128 + SIGPIPE where the reader of standard output has
    gone.
    """
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):  # whatever the locale's codec, and also names of files that are no UTF-8
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    signal.signal(signal.SIGTERM, _terminate)
    logging.getLogger(__package__).setLevel(logging.INFO)
    try:
        status = _status(main)
        sys.stdout.flush()  # otherwise Python flushes at exit, too late to report an error
    except UserError as error:
        status = error.line
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("fairseq_palbert: interrupted", file=sys.stderr)
        status = 128 + signal.SIGINT
    except BrokenPipeError:
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno in PATH_ERRORS:
            status = UserError(f"{error.filename}: {error.strerror}: choose another place").line
        elif error.errno in OUTPUT_ERRORS:
            status = UserError(f"{error.filename or 'output'}: cannot be written ({error.strerror}): choose another "
                               "place").line
        else:
            raise
    _flush_or_discard()
    sys.exit(status)


def _status(main: Callable[[], None]) -> int | str | None:
    """Runs ``main``: returns 0, or what it passes to ``sys.exit``, as argparse does."""
    try:
        main()
    except SystemExit as end:
        return end.code
    return 0


def _flush_or_discard() -> None:
    """Writes the rest of standard output's buffer, to the null device where the output takes no more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_closed_streams() -> None:
    """Opens the standard streams that the caller has closed.

    Otherwise the next file that is opened gets such a stream's descriptor and receives its output.
    """
    for number, (name, (mode, flags)) in enumerate(CLOSED.items()):
        if getattr(sys, name) is None:
            os.open(os.devnull, flags)  # takes the lowest free descriptor, which is ``number``
            setattr(sys, name, open(number, mode, encoding="utf-8"))


def _terminate(number: int, frame: object) -> NoReturn:
    """Ends the process by an exception, so that unfinished output is removed; further signals are ignored."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)
