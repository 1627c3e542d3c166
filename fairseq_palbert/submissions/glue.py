"""GLUE's submission: a zip of eleven TSV files.

Each file answers one test split, with a line ``index<TAB>prediction`` an example (item 1 of gluebenchmark.com/faq). The
index is the example's row in the official test file, from 0. Labels are spelt as in GLUE's files.
Scores are on the task's own scale, with three decimals.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..definitions.packaged import benchmark_tasks
from ..numbers_from_text import finite_float
from . import benchmark

HEADER = "index\tprediction"
MNLI_FILES = {"test": "MNLI-m.tsv", "test1": "MNLI-mm.tsv"}
LINE = 64  # bytes that a line may have


@dataclass(frozen=True)
class Sheet(benchmark.Sheet):
    """A TSV file of GLUE's zip."""

    @property
    def filler(self) -> str:
        """The first label, or the middle of the score range."""
        return f"{sum(self.task.score_range) / 2:.3f}" if self.task.regression else self.task.labels[0]

    @property
    def largest(self) -> int:
        return LINE * (1 + self.rows)

    def content(self, answers: Sequence[str]) -> str:
        lines = (f"{index}\t{self.spelt(answer)}\n" for index, answer in enumerate(answers))
        return f"{HEADER}\n{''.join(lines)}"

    def spelt(self, prediction: str) -> str:
        """A label unchanged; a score clipped to the task's range. What is no number stays, for ``fault`` to refuse."""
        if not self.task.regression:
            return prediction
        try:
            score = finite_float(prediction)
        except ValueError:
            return prediction
        low, high = self.task.score_range
        return f"{min(high, max(low, score)):.3f}"

    def text_fault(self, text: str) -> str | None:
        header, *rows = text.removesuffix("\n").split("\n")
        if header != HEADER:
            return f"line 1: the header is {header!r} instead of {HEADER!r}"
        for row, line in enumerate(rows):
            if fault := self._row_fault(row, line.split("\t")):
                return f"line {row + 2} (row {row}): {fault}"
        if len(rows) != self.rows:
            return f"{len(rows)} rows, but GLUE's {self.task.name} {self.split.name} has {self.rows}"
        return None

    def _row_fault(self, row: int, fields: list[str]) -> str | None:
        if len(fields) != 2:
            return f"{len(fields)} column{'s' * (len(fields) != 1)} instead of 2"
        index, prediction = fields
        if index != str(row):
            return f"index {index!r} instead of {row}: they go from 0 to {self.rows - 1}, each once, in order"
        fault = self.task.fault(prediction)
        return fault and f"prediction {fault}"


GLUE = benchmark.Benchmark("GLUE", {
    sheet.file: sheet
    for sheet in sorted((
        Sheet(MNLI_FILES[split.name] if task.name == "MNLI" else f"{task.name}.tsv", task, split)
        for task in benchmark_tasks("GLUE").values()
        for split in task.splits if split.name.startswith("test")
    ), key=lambda sheet: sheet.file)
})
