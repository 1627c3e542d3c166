"""Read ``scores.jsonl``, the scores of every exit rule on a split.

``evaluation.json`` beside it has the SHA-256 of this file and of ``predictions.tsv``.
"""

import re
import sys
from math import isclose
from pathlib import Path

from .errors import UserError
from .files import file_sha256
from .json_files import Object, read_json, read_json_lines
from .schema import Kind, check_fields, integer, list_of, number, optional, text

SCORES_FILE, EVALUATION_FILE = "scores.jsonl", "evaluation.json"
REMEDY = "score the split again with palbert evaluate"
MOST_EXAMPLES, MOST_LAYERS = 10**8, 256

NAME = Kind("a name of letters, digits, - and _",
            lambda value: isinstance(value, str) and bool(re.fullmatch(r"[\w-]{1,100}", value, re.ASCII)))
RULE = Kind("an exit rule", lambda value: isinstance(value, str)
            and bool(re.fullmatch(r"[a-z_]{1,100}(:[0-9.,:e+-]{0,10000})?", value)))
CLOCK_KINDS = {  # the fields that the engine's run adds to those of ``analysis.describe``
    "exit": RULE, "seconds": number(1e-9, 1e9), "batch_size": optional(integer(1, MOST_EXAMPLES)), "device": NAME,
    "dtype": NAME,
}
ERRORS = dict.fromkeys(("mse", "mae"), number(0, 1e100))
SCORES = dict.fromkeys(("score", "expected_score"), number(-1e100, 1))  # an error counts as its negative
KINDS = CLOCK_KINDS | {
    "metrics": Kind("an object of numbers from -1 to 1, errors of at least 0, and scores of at most 1",
                    lambda value: isinstance(value, dict) and all(
                        (ERRORS | SCORES).get(name, number(-1, 1)).accepts(metric) for name, metric in value.items())),
    "examples": integer(1, MOST_EXAMPLES), "mean_exit": number(1, MOST_LAYERS),
    "exit_histogram": list_of(integer(0, MOST_EXAMPLES), 1, MOST_LAYERS), "layer_speedup": number(1, MOST_LAYERS),
}
ORIGIN_KINDS = {"task": NAME, "split": NAME}  # which files of earlier versions lack
ROUNDING = 1e-6


def read_scores(path: Path, task: str | None = None, split: str | None = None) -> list[Object]:
    """The object of each rule; other fields than ``KINDS`` and ``ORIGIN_KINDS`` are not checked.

    Raises UserError for a file that cannot be read, no rule, a rule that is there twice, a field that is missing, of
    another type or out of range, rules of different splits, a histogram that contradicts ``examples`` or ``mean_exit``,
    and scores of another task or split than those given.
    """
    check_unchanged(path)
    rows = read_json_lines(path, REMEDY)
    try:
        for row in rows:
            _check(row, rows[0], {"task": task, "split": split})
        if len({row["exit"] for row in rows}) < len(rows):
            raise ValueError("an exit rule is there twice")
    except ValueError as error:
        raise UserError(f"{path}: {error}: {REMEDY}") from error
    return rows


def seed_folders(run: Path) -> list[Path]:
    """The folders seed1, seed2 and so on, by number; others of a like name, as copies, are named on stderr."""
    folders = sorted(run.glob("seed*/"))
    seeds = [folder for folder in folders if re.fullmatch("seed[0-9]+", folder.name)]
    for folder in folders:
        if folder not in seeds:
            print(f"{folder} is no folder of a seed, as seed1: left out", file=sys.stderr)
    return sorted(seeds, key=lambda folder: int(folder.name.removeprefix("seed")))


def scored_seeds(run: Path, split: str, name: str) -> list[Path]:
    """The files seedS/scores/SPLIT/NAME; where some seeds have one, those without are named on stderr."""
    paths = [seed / "scores" / split / name for seed in seed_folders(run)]
    found = [path for path in paths if path.is_file()]
    for path in paths:
        if found and path not in found:
            print(f"{path.parent} is not scored yet: left out", file=sys.stderr)
    return found


def check_unchanged(path: Path) -> None:
    """Raises UserError where ``evaluation.json`` beside the file has another SHA-256 of it.

    Earlier versions wrote none, and a file that was copied alone has none beside it.
    """
    about = path.with_name(EVALUATION_FILE)
    if not (path.is_file() and about.is_file()):  # a missing file is refused where it is read
        return
    digests = read_json(about, REMEDY).get("files", {})
    try:
        check_fields(digests, {path.name: text(64)}, "files.", exact=False)
    except ValueError as error:
        raise UserError(f"{about}: {error}: {REMEDY}") from error
    if path.name in digests and digests[path.name] != file_sha256(path):
        raise UserError(f"{path}: changed after it was written, as {about.name} beside it says: {REMEDY}")


def _check(row: Object, first: Object, wanted: dict[str, str | None]) -> None:
    """Raises ValueError, whose message is a phrase."""
    if missing := KINDS.keys() - row.keys():
        raise ValueError(f"has no {min(missing)}")
    check_fields(row, KINDS | ORIGIN_KINDS, exact=False)
    for name in ("examples", *ORIGIN_KINDS):
        if row.get(name) != first.get(name):
            raise ValueError(f"{row['exit']} has the {name} {row.get(name)}, and {first['exit']} {first.get(name)}")
    for name, value in wanted.items():
        if value is not None and row.get(name, value) != value:
            raise ValueError(f"of the {name} {row[name]}, not {value}")
    histogram = row["exit_histogram"]
    mean = sum(n * count for n, count in enumerate(histogram, 1)) / row["examples"]
    if sum(histogram) != row["examples"] or not isclose(mean, row["mean_exit"], rel_tol=ROUNDING):
        raise ValueError(f"{row['exit']} has {sum(histogram)} exits with the mean {mean:g}, not {row['examples']} with "
                         f"the mean {row['mean_exit']:g}")
