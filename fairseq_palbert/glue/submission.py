"""GLUE's submission: a zip of eleven files, one a test split, each with a line ``index<TAB>prediction`` an example.

Format: item 1 of gluebenchmark.com/faq. The index of an example is its row in the official test file, from 0. Labels
are spelt as in GLUE's own files, which is how ``tasks`` has them; scores are on the task's own scale, with three
decimals.
"""

import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import replacing
from .definitions import TASKS, GlueTask, Split

HEADER = "index\tprediction"
MNLI_FILES = {"test": "MNLI-m.tsv", "test1": "MNLI-mm.tsv"}
TIME = (1980, 1, 1, 0, 0, 0)  # a zip's earliest
MODE = 0o644


@dataclass(frozen=True)
class Sheet:
    """One file of the zip: the answers to a test split."""

    file: str
    task: GlueTask
    split: Split

    @property
    def filler(self) -> str:
        """A constant answer that holds the place of a task that was not run: its first label, the middle of its
        scores."""
        return f"{sum(self.task.score_range) / 2:.3f}" if self.task.regression else self.task.labels[0]

    def spelt(self, prediction: str) -> str:
        """A label as it is; a score clipped to the task's range, unless it is infinite or nan, which ``faults``
        refuses."""
        if not self.task.regression or not math.isfinite(float(prediction)):
            return prediction
        low, high = self.task.score_range
        return f"{min(high, max(low, float(prediction))):.3f}"

    def fault(self, data: bytes) -> str | None:
        """What is wrong with the file's content, with the line; None where it is sound."""
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
        for task in TASKS.values() if task.name != "Cues"  # not of GLUE
        for split in task.splits if split.name.startswith("test")
    ), key=lambda sheet: sheet.file)
}


def write_submission(path: Path, answers: Mapping[str, Sequence[str]]) -> None:
    """``answers``: each file's predictions as ``Sheet.spelt`` has them, in the order of the official rows.

    The zip appears complete or not at all, and the same answers give the same bytes: sorted, with one fixed time, and
    not compressed, since that depends on zlib's version. Raises UserError where ``faults`` finds one, or nothing can be
    written.
    """
    with replacing(path) as part:
        with zipfile.ZipFile(part, "w") as archive:
            for file, predictions in sorted(answers.items()):
                entry = zipfile.ZipInfo(file, TIME)
                entry.external_attr = MODE << 16
                lines = (f"{index}\t{prediction}\n" for index, prediction in enumerate(predictions))
                archive.writestr(entry, f"{HEADER}\n{''.join(lines)}")
        if found := faults(part):
            raise UserError(f"{path} is not written, since GLUE would not take it: {'; '.join(found)}")


def faults(path: Path) -> list[str]:
    """What is wrong with a submission, at most a line a file, with the file's name; empty where it is sound."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = Counter(archive.namelist())
            strange = [f"{name}: {_why_strange(name)}" for name in names if name not in SHEETS]
            found = {file: _file_fault(archive, names[file], sheet) for file, sheet in SHEETS.items()}
    except OSError as error:
        return [f"cannot be read ({error.strerror})"]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        return [f"is no zip, or a damaged one ({error})"]
    return strange + [f"{file}: {fault}" for file, fault in found.items() if fault]


def _why_strange(name: str) -> str:
    return "a folder, or in one: the files belong at the top" if "/" in name else "is none of the eleven files"


def _file_fault(archive: zipfile.ZipFile, count: int, sheet: Sheet) -> str | None:
    if count != 1:
        return f"is in the zip {count} times" if count else "is missing"
    try:
        return sheet.fault(archive.read(sheet.file))
    except (zipfile.BadZipFile, zlib.error, EOFError,
            RuntimeError) as error:  # damaged, encrypted, packed in another way
        return f"does not unpack ({error})"
