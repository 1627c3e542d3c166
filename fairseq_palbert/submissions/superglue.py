"""SuperGLUE's submission: a zip of ten JSON-lines files.

Each file answers one test file, with a line ``{"idx": ..., "label": ...}`` an example, for ReCoRD a query. A line of
MultiRC is nested as its input is. ``idx`` is that of the official file. Labels are spelt as the benchmark spells them
(super.gluebenchmark.com/faq): "true" and "false", WSC's "True" and "False", COPA's choice 0 or 1, ReCoRD's entity.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..definitions.packaged import benchmark_tasks
from ..errors import UserError
from ..json_files import Object, parse_object, read_json_lines
from ..numbers_from_text import integer
from ..raw.files import raw_file
from ..raw.layouts import LAYOUTS
from ..schema import Kind, check_fields, choice, list_of, object_of
from . import benchmark

PASSAGES = 166  # of MultiRC's test file
LINE = 1024  # bytes that a line, and an answer of MultiRC, may have
LARGEST = 2**28  # bytes of a raw file
REMEDY = "give SuperGLUE's own file"

IDX = Kind("a whole number from 0, or a text of one", lambda value: type(value) is int and value >= 0
           or isinstance(value, str) and value.isascii() and value.isdigit())
ANYTHING = Kind("there", lambda value: True)
BIT = Kind("0 or 1", choice(0, 1).accepts)
ENTITY = Kind("the text of an entity", lambda value: isinstance(value, str) and value != "")
QUESTION = {"idx": IDX, "answers": list_of(object_of({"idx": IDX, "label": BIT}), 1, 1000)}
PASSAGE = {"idx": IDX, "passage": object_of({"questions": list_of(object_of(QUESTION), 1, 1000)})}


@dataclass(frozen=True)
class Sheet(benchmark.Sheet):
    """A JSON-lines file of SuperGLUE's zip. ``objects`` are those of the raw test file, which ``content`` needs."""

    objects: Sequence[Object] = ()

    @property
    def lines(self) -> int:
        if self.task.name == "MultiRC":
            return PASSAGES
        return self.split.groups if self.task.groups and self.task.groups.answer == "best" else self.split.rows

    @property
    def rows(self) -> int:
        return sum(len(self._rows(value)) for value in self.objects)

    @property
    def groups(self) -> list[tuple[str, str | None]]:
        """The group and the candidate of each row of a task with groups."""
        column, candidate = self.task.groups.column, self.task.groups.candidate
        return [(str(row[column]), row[candidate] if candidate else None)
                for value in self.objects for row in self._rows(value)]

    @property
    def filler(self) -> str:
        """The first label; of a task with groups the positive one, with which the first row answers its group."""
        return self.task.positive if self.task.groups else self.task.labels[0]

    @property
    def largest(self) -> int:
        return LINE * (self.split.rows or self.lines)

    def read(self, raw: Path | None) -> "Sheet":
        """The sheet with the objects of the raw test file. Raises UserError where there is none, or another one."""
        if raw is None:
            raise UserError("no raw data named: give --raw or $SUPERGLUE_DIR, the folder of SuperGLUE's task folders, "
                            "whose test files have the idx of the answers")
        path = raw_file(self.task, self.split, raw)
        grouped = self.task.groups and not self.split.source.layout
        columns = {"idx": IDX} | ({self.task.groups.column: ANYTHING} if grouped else {})
        sheet = replace(self, objects=read_json_lines(path, REMEDY, LARGEST))
        for line, value in enumerate(sheet.objects, 1):
            try:
                check_fields({name: value[name] for name in columns if name in value}, columns)
                sheet._rows(value)
            except ValueError as error:
                raise UserError(f"{path}, line {line}: {error}: {REMEDY}") from error
        return sheet

    def _rows(self, value: Object) -> list[Object]:
        layout = self.split.source.layout
        return LAYOUTS[layout](value) if layout else [value]

    def content(self, answers: Sequence[str]) -> str:
        """The lines with these labels of the rows; a group with one answer is answered by its first positive row.

        Raises UserError for an answer that is none of the task, and for such a group without a positive row.
        """
        for fault in filter(None, map(self.task.fault, dict.fromkeys(answers))):
            raise UserError(f"{self.file}: prediction {fault}")
        remaining = iter(answers)
        return "".join(f"{json.dumps(line)}\n" for value in self.objects for line in self._answered(value, remaining))

    def _answered(self, value: Object, answers: Iterator[str]) -> list[Object]:
        """The lines of one object of the raw file, with the next answers."""
        match self.task.name:
            case "MultiRC":
                return [{"idx": value["idx"], "passage": {"questions": [
                    {"idx": question["idx"], "answers": [{"idx": answer["idx"], "label": int(next(answers))}
                                                         for answer in question["answers"]]}
                    for question in value["passage"]["questions"]]}}]
            case "ReCoRD":
                best = self._best(value, answers)
                return [{"idx": query["idx"], "label": best[str(query["idx"])]} for query in value["qas"]]
            case "COPA":
                return [{"idx": value["idx"], "label": int(best)} for best in self._best(value, answers).values()]
            case "WSC":
                return [{"idx": value["idx"], "label": next(answers).capitalize()}]
        return [{"idx": value["idx"], "label": next(answers)}]

    def _best(self, value: Object, answers: Iterator[str]) -> dict[str, str]:
        """The candidate that answers each group of the object."""
        best = {}
        for row in self._rows(value):
            group = best.setdefault(row[self.task.groups.column], [])
            if next(answers) == self.task.positive:
                group.append(row[self.task.groups.candidate])
        for idx, candidates in best.items():
            if not candidates:
                raise UserError(f"{self.file}: no row of idx {idx} is answered {self.task.positive}")
        return {idx: candidates[0] for idx, candidates in best.items()}

    def text_fault(self, text: str) -> str | None:
        kinds, counts = self._kinds, self._counts
        seen = {what: {} for what in counts}
        for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
            try:
                value = parse_object(line)
                check_fields(value, kinds)
                for what, idx in _each_idx(value):
                    idx = _within(what, idx, counts[what])
                    if idx in seen[what]:
                        raise ValueError(f"the {what} {idx} is on line {seen[what][idx]} too")
                    seen[what][idx] = number
            except ValueError as error:
                return f"line {number}: {error}"
        for what, count in counts.items():
            if len(seen[what]) != count:
                return f"{len(seen[what])} times {what}, but SuperGLUE's {self.task.name} {self.split.name} has {count}"
        return None

    @property
    def _kinds(self) -> dict[str, Kind]:
        """The fields of a line."""
        labels = {"COPA": BIT, "ReCoRD": ENTITY, "WSC": _one_of("True", "False")}
        if self.task.name == "MultiRC":
            return PASSAGE
        return {"idx": IDX, "label": labels.get(self.task.name, _one_of(*self.task.labels))}

    @property
    def _counts(self) -> dict[str, int]:
        """How many different idx of each kind the file has; they go from 0."""
        nested = {"idx of a question": self.split.groups, "idx of an answer": self.split.rows}
        return {"idx": self.lines} | (nested if self.task.name == "MultiRC" else {})


def _each_idx(line: Object) -> Iterator[tuple[str, int | str]]:
    """Every idx of a line, with what it is of."""
    yield "idx", line["idx"]
    for question in line.get("passage", {}).get("questions", ()):
        yield "idx of a question", question["idx"]
        for answer in question["answers"]:
            yield "idx of an answer", answer["idx"]


def _within(what: str, idx: int | str, count: int) -> int:
    try:
        return integer(str(idx), 0, count - 1)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def _one_of(*labels: str) -> Kind:
    return Kind(" or ".join(f'"{label}"' for label in labels), choice(*labels).accepts)


SUPERGLUE = benchmark.Benchmark("SuperGLUE", {
    f"{task.folder}.jsonl": Sheet(f"{task.folder}.jsonl", task, task.split("test"))
    for task in sorted(benchmark_tasks("SuperGLUE").values(), key=lambda task: task.folder)
})
