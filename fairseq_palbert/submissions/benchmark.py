"""Write and check a benchmark's submission: a zip of one file a test split."""

import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..definitions.definition import Split, TaskDefinition
from ..errors import UserError
from ..files import replacing

TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip entry
MODE = 0o644
DIRECTORY = 2**20  # bytes that the zip's own records may have
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # those that zipfile unpacks piece by piece


@dataclass(frozen=True)
class Sheet(ABC):
    """One file of the zip: the answers to a test split, one a row of the split."""

    file: str
    task: TaskDefinition
    split: Split

    @property
    def rows(self) -> int:
        """How many answers ``content`` takes."""
        return self.split.rows

    @property
    def lines(self) -> int:
        """How many lines of answers the file has."""
        return self.split.rows

    @property
    @abstractmethod
    def filler(self) -> str:
        """The constant answer for a task that was not run."""

    @property
    @abstractmethod
    def largest(self) -> int:
        """Bytes that the file may have."""

    def read(self, raw: Path | None) -> "Sheet":
        """The sheet with what ``content`` needs of the raw test file."""
        return self

    @abstractmethod
    def content(self, answers: Sequence[str]) -> str:
        """The file's content. Answers that are none of the task stay, for ``fault`` to refuse."""

    @abstractmethod
    def text_fault(self, text: str) -> str | None:
        """What is wrong with the file's content, with the line; None where nothing is."""

    def fault(self, data: bytes) -> str | None:
        """What is wrong with the file's bytes, with the line; None where nothing is."""
        if not data:
            return "is empty"
        try:
            return self.text_fault(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = data[:error.start].count(b"\n") + 1
            return f"line {line}: byte 0x{data[error.start]:02x} is no UTF-8"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with the files of its zip, by name."""

    name: str
    sheets: dict[str, Sheet]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(sheet.task.name for sheet in self.sheets.values()))

    def read(self, raw: Path | None) -> "Benchmark":
        """The benchmark with what its sheets need of the raw test files."""
        return replace(self, sheets={file: sheet.read(raw) for file, sheet in self.sheets.items()})

    def write(self, path: Path, answers: Mapping[str, Sequence[str]]) -> None:
        """Writes the answers to each file's split, in the order of the official rows.

        The zip appears complete or not at all. The same answers give the same bytes: entries are sorted, have a fixed
        time, and are not compressed, since compression depends on zlib's version. Raises UserError for what ``faults``
        finds, and where the zip cannot be written.
        """
        with replacing(path) as part:
            with zipfile.ZipFile(part, "w") as archive:
                for file in sorted(answers):
                    entry = zipfile.ZipInfo(file, TIME)
                    entry.external_attr = MODE << 16
                    archive.writestr(entry, self.sheets[file].content(answers[file]))
            if problems := self.faults(part):
                raise UserError(f"{path} is not written, since {self.name} would refuse it: {'; '.join(problems)}")

    def faults(self, path: Path) -> list[str]:
        """What is wrong with a submission, at most one line a file, with the file's name; empty for a valid one."""
        largest = sum(sheet.largest for sheet in self.sheets.values()) + DIRECTORY
        try:
            if path.exists() and not path.is_file():
                return ["is no regular file"]
            if path.stat().st_size > largest:
                return [f"has more than {largest:,} bytes"]
            with zipfile.ZipFile(path) as archive:
                names = Counter(archive.namelist())
                unknown = [f"{name}: {self._why_unknown(name)}" for name in names if name not in self.sheets]
                fault_of = {file: _file_fault(archive, names[file], sheet) for file, sheet in self.sheets.items()}
        except OSError as error:
            return [f"cannot be read ({error.strerror})"]
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
            return [f"is no zip, or a damaged one ({error})"]
        return unknown + [f"{file}: {fault}" for file, fault in fault_of.items() if fault]

    def _why_unknown(self, name: str) -> str:
        if "/" in name:
            return "a folder, or in one: the files belong at the top"
        return f"is none of {self.name}'s {len(self.sheets)} files"


def _file_fault(archive: zipfile.ZipFile, count: int, sheet: Sheet) -> str | None:
    if count != 1:
        return f"is in the zip {count} times" if count else "is missing"
    entry = archive.getinfo(sheet.file)
    if entry.compress_type not in METHODS:
        return "is compressed by another method than deflate"
    if entry.file_size > sheet.largest:
        return f"has {entry.file_size:,} bytes, and at most {sheet.largest:,} are this split's"
    try:
        with archive.open(entry) as file:
            return sheet.fault(file.read(sheet.largest + 1))  # bounded, since the size in the directory may be wrong
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # damaged, encrypted, otherwise packed
        return f"does not unpack ({error})"
