"""Write and check GLUE's submission: a zip of eleven TSV files.

Each file answers one test split, with a line ``index<TAB>prediction`` an example (item 1 of gluebenchmark.com/faq). The
index is the example's row in the official test file, from 0. Labels are spelt as in GLUE's files.
Scores are on the task's own scale, with three decimals.
"""

import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..definitions.definition import Split, TaskDefinition
from ..definitions.packaged import benchmark_tasks
from ..errors import UserError
from ..files import replacing
from ..numbers_from_text import finite_float

HEADER = "index\tprediction"
MNLI_FILES = {"test": "MNLI-m.tsv", "test1": "MNLI-mm.tsv"}
TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time of a zip entry
MODE = 0o644
ROW = 64  # bytes that a line may have
DIRECTORY = 2**20  # bytes that the zip's own records may have
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # those that zipfile unpacks piece by piece


@dataclass(frozen=True)
class Sheet:
    """One file of the zip: the answers to a test split."""

    file: str
    task: TaskDefinition
    split: Split

    @property
    def filler(self) -> str:
        """The constant answer for a task that was not run: its first label, or the middle of its score range."""
        return f"{sum(self.task.score_range) / 2:.3f}" if self.task.regression else self.task.labels[0]

    def spelt(self, prediction: str) -> str:
        """A label unchanged; a score clipped to the task's range. What is no number stays, for ``faults`` to refuse."""
        if not self.task.regression:
            return prediction
        try:
            score = finite_float(prediction)
        except ValueError:
            return prediction
        low, high = self.task.score_range
        return f"{min(high, max(low, score)):.3f}"

    def fault(self, data: bytes) -> str | None:
        """What is wrong with the file's content, with the line; None where nothing is."""
        if not data:
            return "is empty"
        try:
            header, *rows = data.decode("utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            line = data[:error.start].count(b"\n") + 1
            return f"line {line}: byte 0x{data[error.start]:02x} is no UTF-8"
        if header != HEADER:
            return f"line 1: the header is {header!r} instead of {HEADER!r}"
        for row, line in enumerate(rows):
            if fault := self._row_fault(row, line.split("\t")):
                return f"line {row + 2} (row {row}): {fault}"
        if len(rows) != self.split.rows:
            return f"{len(rows)} rows, but GLUE's {self.task.name} {self.split.name} has {self.split.rows}"
        return None

    def _row_fault(self, row: int, fields: list[str]) -> str | None:
        if len(fields) != 2:
            return f"{len(fields)} column{'s' * (len(fields) != 1)} instead of 2"
        index, prediction = fields
        if index != str(row):
            return f"index {index!r} instead of {row}: they go from 0 to {self.split.rows - 1}, each once, in order"
        fault = self.task.fault(prediction)
        return fault and f"prediction {fault}"


SHEETS = {
    sheet.file: sheet
    for sheet in sorted((
        Sheet(MNLI_FILES[split.name] if task.name == "MNLI" else f"{task.name}.tsv", task, split)
        for task in benchmark_tasks("GLUE").values()
        for split in task.splits if split.name.startswith("test")
    ), key=lambda sheet: sheet.file)
}


def write_submission(path: Path, answers: Mapping[str, Sequence[str]]) -> None:
    """Writes the predictions of each file, as ``Sheet.spelt`` returns them, in the order of the official rows.

    The zip appears complete or not at all. The same answers give the same bytes: entries are sorted, have a fixed time,
    and are not compressed, since compression depends on zlib's version. Raises UserError for what ``faults`` finds, and
    where the zip cannot be written.
    """
    with replacing(path) as part:
        with zipfile.ZipFile(part, "w") as archive:
            for file, predictions in sorted(answers.items()):
                entry = zipfile.ZipInfo(file, TIME)
                entry.external_attr = MODE << 16
                lines = (f"{index}\t{prediction}\n" for index, prediction in enumerate(predictions))
                archive.writestr(entry, f"{HEADER}\n{''.join(lines)}")
        if problems := faults(part):
            raise UserError(f"{path} is not written, since GLUE would refuse it: {'; '.join(problems)}")


def faults(path: Path) -> list[str]:
    """What is wrong with a submission, at most one line a file, with the file's name; empty for a valid one."""
    largest = sum(map(_largest, SHEETS.values())) + DIRECTORY
    try:
        if path.exists() and not path.is_file():
            return ["is no regular file"]
        if path.stat().st_size > largest:
            return [f"has more than {largest:,} bytes"]
        with zipfile.ZipFile(path) as archive:
            names = Counter(archive.namelist())
            unknown = [f"{name}: {_why_unknown(name)}" for name in names if name not in SHEETS]
            fault_of = {file: _file_fault(archive, names[file], sheet) for file, sheet in SHEETS.items()}
    except OSError as error:
        return [f"cannot be read ({error.strerror})"]
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError) as error:
        return [f"is no zip, or a damaged one ({error})"]
    return unknown + [f"{file}: {fault}" for file, fault in fault_of.items() if fault]


def _why_unknown(name: str) -> str:
    return "a folder, or in one: the files belong at the top" if "/" in name else "is none of the eleven files"


def _largest(sheet: Sheet) -> int:
    """Bytes that the file may have."""
    return ROW * (1 + sheet.split.rows)


def _file_fault(archive: zipfile.ZipFile, count: int, sheet: Sheet) -> str | None:
    if count != 1:
        return f"is in the zip {count} times" if count else "is missing"
    entry, most = archive.getinfo(sheet.file), _largest(sheet)
    if entry.compress_type not in METHODS:
        return "is compressed by another method than deflate"
    if entry.file_size > most:
        return f"has {entry.file_size:,} bytes, and at most {most:,} are {sheet.split.rows} rows"
    try:
        with archive.open(entry) as file:
            return sheet.fault(file.read(most + 1))  # a bounded read, since the size in the directory may be wrong
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # damaged, encrypted, otherwise packed
        return f"does not unpack ({error})"
