"""Outcomes of commands: an answer, or the line that refuses the input."""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairseq_palbert.errors import UserError

CPU_SECONDS, SECONDS = 10, 100  # ten times as long by the clock, since a machine may be busy
MEMORY = 4 * 2**30  # bytes beyond what the process has mapped


@dataclass(frozen=True)
class Outcome:
    """The ``answer`` of a command that accepted its input, or the ``line`` of its refusal."""

    answer: Any = None
    line: str | None = None


def outcome_of(work: Callable[[], Any]) -> Outcome:
    """Runs ``work`` within bounds of time and memory and returns its outcome.

    A UserError, or an exit with error lines (one, or one for each fault), is a refusal. Other exceptions pass through.
    """
    try:
        with _bounded():
            return Outcome(answer=work())
    except (UserError, SystemExit) as error:
        said = error.line if isinstance(error, UserError) else error.code
        assert isinstance(said, str) and all(map(is_error, said.split("\n"))), said
        return Outcome(line=said)


def is_error(line: str) -> bool:
    return line.startswith("fairseq_palbert: error: ") and line.isprintable() and len(line) < 2000


@contextmanager
def _bounded() -> Iterator[None]:
    def too_long(*_):
        raise TimeoutError(f"took more than {CPU_SECONDS} s of the processor, or {SECONDS} s")

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    timers = {signal.ITIMER_PROF: (signal.SIGPROF, CPU_SECONDS), signal.ITIMER_REAL: (signal.SIGALRM, SECONDS)}
    handlers = {number: signal.signal(number, too_long) for number, _ in timers.values()}
    for timer, (_, seconds) in timers.items():
        signal.setitimer(timer, seconds)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        for timer in timers:
            signal.setitimer(timer, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
