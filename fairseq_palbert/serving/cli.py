"""``palbert predict``: classify a stream of sentences in constant memory.

Input is TSV or JSON lines. The output has the input's format and order: ``index`` (from 0; ``id`` with --id),
``label``, ``probability`` (of the label; none for regression) and ``exit_layer``, in JSON also ``truncated``.
"""

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from tqdm import tqdm

from ..definitions.definition import TaskDefinition
from ..errors import UserError
from ..exits.base import Rule
from ..exits.registry import RULES, parse_rule
from ..inference.flags import add_engine_flags, check_sizes, window_of
from .output import LINES, opened, tsv_line
from .predictor import PalbertPredictor, Prediction
from .rows import FORMATS, Columns, Row, chunks, read_rows

STANDARD_INPUT = Path("-")
DEFAULT_COLUMNS = {1: ("sentence",), 2: ("sentence1", "sentence2")}
# characters of a chunk, which the engine sorts by length: about 4 windows; --batch-size limits its rows
CHUNK = 2**18
DIGITS = 6
JSON_LINES, OTHER_FORMATS = (".jsonl", ".ndjson"), (".json", ".csv", ".gz", ".bz2", ".xz", ".zst", ".zip", ".parquet")


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="palbert predict",
        description="Classify a stream of sentences or pairs with an exported model. fairseq is not needed.",
        epilog="Example: zcat reviews.jsonl.gz | palbert predict MODEL --format jsonl --sentence text --id key | head")
    add = options.add_argument
    add("model", type=Path, help="folder made by palbert export")
    add("input", type=Path, nargs="?", default=STANDARD_INPUT,
        help="TSV whose first line names the columns, or JSON lines (default: standard input)")
    add("--exit", default="q_exit:0.5", metavar="RULE",
        help="exit rule (default: %(default)s): " + "; ".join(rule.form for rule in RULES.values()))
    add("--out", type=Path, metavar="FILE", help="output file, which appears complete or not at all (default: standard "
                                                 "output, as predictions are made)")
    add("--format", choices=FORMATS, help="format of input and output (default: jsonl where INPUT ends in .jsonl or "
                                          ".ndjson, otherwise tsv)")
    add("--sentence", action="append", metavar="COLUMN",
        help="column, or JSON key, of a sentence; give it twice for a pair (default: the names in GLUE's files of the "
             "model's task, or sentence, or sentence1 and sentence2)")
    add("--id", metavar="COLUMN", help="column, or JSON key, to copy to the output in place of the index")
    add_engine_flags(options)
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    rule = parse_rule(options.exit)
    check_sizes(options)
    if options.out is not None and options.out.exists() and _is_input(options.out, options.input):
        raise UserError(f"--out {options.out}: is the input, which would be lost: choose another name")
    predictor = PalbertPredictor.from_pretrained(options.model, options.dtype, options.device)
    predictor = replace(predictor, window=window_of(options, predictor.network, predictor.device))
    rule.check(predictor.network)
    form = options.format or _format_of(options.input)
    columns = _columns(options.sentence, options.id, predictor.task)
    with _input(options.input) as (file, name), opened(options.out) as out:
        rows = read_rows(file, name, form, columns)
        names = ["index" if options.id is None else "id", "label",
                 *([] if predictor.task.regression else ["probability"]), "exit_layer",
                 *(["truncated"] if form == "jsonl" else [])]
        if form == "tsv":
            out.write(tsv_line(names, names).encode())
        truncated = 0
        for chunk, predictions in _predicted(predictor, rule, rows, _size(file)):
            lines = [LINES[form](names, _values(row, prediction)) for row, prediction in zip(chunk, predictions)]
            out.write("".join(lines).encode())
            out.flush()
            truncated += sum(prediction.truncated for prediction in predictions)
    if truncated:
        print(f"fairseq_palbert: rows cut to the model's {predictor.max_positions} tokens: {truncated}",
              file=sys.stderr)


def _format_of(path: Path) -> str:
    """The format by the file's name. Raises UserError where the name is of a format that is not read."""
    suffix = path.suffix.lower()
    if suffix in OTHER_FORMATS:
        raise UserError(f"{path}: {suffix} is not read: give TSV or JSON lines, one object a line, as in zcat "
                        "reviews.jsonl.gz | palbert predict MODEL --format jsonl")
    return "jsonl" if suffix in JSON_LINES else "tsv"


def _columns(given: list[str] | None, id_column: str | None, task: TaskDefinition) -> Columns:
    defaults = tuple(dict.fromkeys((task.sentence_names, DEFAULT_COLUMNS[len(task.sentences)])))
    if given is not None and len(given) != len(task.sentences):
        raise UserError(f"--sentence is given {len(given)} times, and a row of {task.name} has {len(task.sentences)}: "
                        "give it once for each")
    return Columns(defaults if given is None else (tuple(given),), id_column)


def _is_input(out: Path, given: Path) -> bool:
    """Whether ``out`` is the file to read, by whatever name."""
    if given != STANDARD_INPUT:
        return given.exists() and out.samefile(given)
    return os.path.samestat(os.fstat(sys.stdin.fileno()), out.stat())


@contextmanager
def _input(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """Yields the opened file, and its name for messages."""
    if path == STANDARD_INPUT:
        yield sys.stdin.buffer, "standard input"
        return
    try:
        file = open(path, "rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give a file that can be read, or - for standard input") from error
    with file:
        yield file, str(path)


def _size(file: BinaryIO) -> int | None:
    """The size in bytes; None where ``file`` is not a regular file."""
    status = os.fstat(file.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _predicted(predictor: PalbertPredictor, rule: Rule, rows: Iterator[Row],
               size: int | None) -> Iterator[tuple[list[Row], list[Prediction]]]:
    """Yields the rows and predictions of each chunk; shows progress in bytes if standard error is a terminal."""
    done = 0
    with tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
        for chunk in chunks(rows, CHUNK, predictor.window.sentences):
            predictions = predictor.predict([row.sentences for row in chunk], rule, first_id=done)
            done += len(chunk)
            bar.update(chunk[-1].end - bar.n)
            bar.set_postfix(sentences=done)
            yield chunk, predictions


def _values(row: Row, prediction: Prediction) -> list[Any]:
    """The values of all fields in order; TSV leaves the last one out."""
    answer = ([round(prediction.label, DIGITS)] if prediction.probabilities is None
              else [prediction.label, round(prediction.probability, DIGITS)])
    return [row.id, *answer, prediction.exit_layer, prediction.truncated]
