"""Run directories that resume, with a record of each finished stage."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os.path import exists, realpath
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import UserError
from ..files import replacing
from .log import log


@dataclass(frozen=True)
class Stages:
    """The stages of a run directory.

    ``stages/NAME.settings`` has the settings that a stage began with. ``stages/NAME.done`` appears once it has
    succeeded.
    """

    run_dir: Path
    first: int
    last: int

    def wanted(self, number: int) -> bool:
        return self.first <= number <= self.last

    def run(self, number: int, name: str, settings: list[str], work: Callable[[], None],
            unknown: Collection[str] = ()) -> None:
        """Do ``work`` if it is wanted and not done. Raises UserError as ``check`` does."""
        self.check(number, name, settings, unknown)
        if not self.wanted(number):
            return
        begun, done = self._record(name)
        if done.exists():
            log(f"stage {number}, {name}: done before")
            return
        log(f"stage {number}, {name}")
        with replacing(begun) as part:
            part.write_text(" ".join(settings) + "\n", encoding="utf-8")
        work()
        done.touch()

    def check(self, number: int, name: str, settings: list[str], unknown: Collection[str] = ()) -> None:
        """Raises UserError where the stage was begun with other settings.

        The flags ``unknown``, and those that recorded a path to what is gone, are compared only where it is wanted.
        """
        begun, _ = self._record(name)
        if not begun.exists():
            return
        before, now = begun.read_text(encoding="utf-8").split(), " ".join(settings).split()
        if not self.wanted(number):
            unknown = {*unknown, *_flags_of_gone_paths(before)}
            before, now = _without(before, unknown), _without(now, unknown)
        if not same_settings(before, now):
            raise UserError(f"{self.run_dir} was begun with other settings ({begun}: {_difference(before, now)}): "
                            f"choose another run_dir, or remove {begun.with_suffix('')}.* and what it left")

    def forget_if_changed(self, name: str, settings: list[str], source: Path) -> None:
        """Have the stage done again if it was begun with other settings, or the file ``source`` is newer."""
        begun, done = self._record(name)
        if not begun.exists():
            return
        changed = not same_settings(begun.read_text(encoding="utf-8").split(), settings)
        if changed or done.exists() and source.exists() and source.stat().st_mtime_ns > done.stat().st_mtime_ns:
            done.unlink(missing_ok=True)
            begun.unlink()

    def forget_if_unfinished(self, name: str) -> None:
        """Let a stage that has left nothing yet begin with any settings."""
        begun, done = self._record(name)
        if not done.exists():
            begun.unlink(missing_ok=True)

    def done(self, name: str) -> bool:
        return self._record(name)[1].exists()

    def settings_file(self, name: str) -> Path:
        return self.run_dir / "stages" / f"{name}.settings"

    def _record(self, name: str) -> tuple[Path, Path]:
        return self.settings_file(name), self.run_dir / "stages" / f"{name}.done"


@contextmanager
def claimed(run_dir: Path, first: int, last: int) -> Iterator[Stages]:
    """The run directory, created where missing and locked for this process.

    Raises UserError while another process has it.
    """
    try:
        (run_dir / "stages").mkdir(parents=True, exist_ok=True)
        lock = FileLock(run_dir / ".lock", blocking=False)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another process is at work in {run_dir}: wait for it, or end it") from error
    except OSError as error:
        raise UserError(f"cannot write to run_dir={run_dir} ({error.strerror})") from error
    try:
        yield Stages(run_dir, first, last)
    finally:
        lock.release()


def same_settings(before: list[str], now: list[str]) -> bool:
    """Compare word by word; numbers are equal however they are written, as 1e-5 and 1e-05, and paths too."""
    return len(before) == len(now) and all(map(_same, before, now))


def _by_flag(words: list[str]) -> list[str]:
    """Each flag with its value, which may have spaces."""
    return re.split(" (?=--)", " ".join(words))


def _flags_of_gone_paths(words: list[str]) -> set[str]:
    flags = (flag.partition(" ") for flag in _by_flag(words))
    return {name for name, _, value in flags if value.startswith("/") and not exists(value)}


def _without(words: list[str], flags: Collection[str]) -> list[str]:
    return [word for flag in _by_flag(words) if flag.partition(" ")[0] not in flags for word in flag.split()]


def _same(before: str, now: str) -> bool:
    if before.startswith("/"):  # earlier versions recorded paths with links in them
        return now in (before, realpath(before))
    try:
        return before == now or float(before) == float(now)
    except ValueError:
        return False


def _difference(before: list[str], now: list[str]) -> str:
    """The first word that differs, after the word before it: ``--lr 0.1, now --lr 0.5``."""
    differing = (i for i, pair in enumerate(zip(before, now, strict=False)) if not _same(*pair))
    place = next(differing, min(len(before), len(now)))
    start = max(place - 1, 0)
    return f"{' '.join(before[start:place + 1])}, now {' '.join(now[start:place + 1])}"
