"""Accuracy and mean exit layer by degree of difficulty, of the quickstart's model, and whether they are as claimed.

    python recipes/by_degree.py RAW_DEV_TSV SCORES_FOLDER [--rule q_exit:0.5]

Joins the rows of the raw dev.tsv, whose column ``degree`` no model sees, with SCORES_FOLDER/predictions.tsv by example
index; N is the length of the exit histogram in SCORES_FOLDER/scores.jsonl. Exits with status 1 and one line where the
claim does not hold: the model leaves later on harder sentences, by at least 0.3 layers from the easiest to the hardest
and never the other way by more than 0.05, at 95 % accuracy or better over all and a mean exit layer of at most 0.75 N.
"""

import argparse
import csv
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

LATER_BY = 0.3  # layers, from the easiest to the hardest degree
ALIKE = 0.05  # layers; two degrees that are no further apart are alike to the model, either may come first
ACCURACY = 0.95
DEPTH = 0.75  # of N


@dataclass(frozen=True)
class Answer:
    degree: int
    right: bool
    exit_layer: int


@dataclass(frozen=True)
class Summary:
    """Of ``examples`` answers: ``accuracy`` from 0 to 1, and ``mean_exit`` in layers."""

    examples: int
    accuracy: float
    mean_exit: float


def summarise(answers: list[Answer]) -> Summary:
    return Summary(len(answers), fmean(a.right for a in answers), fmean(a.exit_layer for a in answers))


def by_degree(answers: list[Answer]) -> dict[int, Summary]:
    """The summary of each degree, the easiest first."""
    degrees = sorted({answer.degree for answer in answers})
    return {degree: summarise([a for a in answers if a.degree == degree]) for degree in degrees}


def broken_claims(degrees: dict[int, Summary], overall: Summary, depth: int) -> list[str]:
    """What of the claim does not hold, in words; ``depth`` is N."""
    exits = [summary.mean_exit for summary in degrees.values()]
    broken = []
    if overall.accuracy < ACCURACY:
        broken.append(f"accuracy {overall.accuracy:.1%} is below {ACCURACY:.0%}")
    if overall.mean_exit > DEPTH * depth:
        broken.append(f"the mean exit layer {overall.mean_exit:.2f} is above {DEPTH * depth:.2f} of {depth}")
    if exits[-1] - exits[0] < LATER_BY:
        broken.append(f"the hardest degree leaves {exits[-1] - exits[0]:.2f} layers after the easiest, not {LATER_BY}")
    broken += [f"degree {harder} leaves before degree {easier}, by more than {ALIKE} layers"
               for (easier, harder) in pairwise(degrees) if degrees[harder].mean_exit < degrees[easier].mean_exit - ALIKE]
    return broken


def read_answers(raw: Path, scores: Path, rule: str) -> list[Answer]:
    """Exits with one line where the files do not belong together or the rule was not scored."""
    degrees = [int(row["degree"]) for row in _rows(raw)]
    predictions = _rows(scores / "predictions.tsv")
    if sorted(int(row["index"]) for row in predictions) != list(range(len(degrees))):
        sys.exit(f"by_degree.py: error: {scores / 'predictions.tsv'} has not one row for each of the {len(degrees)} rows of "
                 f"{raw}: score its data")
    if f"{rule}.prediction" not in predictions[0]:
        sys.exit(f"by_degree.py: error: {scores / 'predictions.tsv'} has no rule {rule!r}: score it with --exit {rule}")
    return [
        Answer(degrees[int(row["index"])], row[f"{rule}.prediction"] == row["label"], int(row[f"{rule}.exit_layer"]))
        for row in predictions
    ]


def read_depth(scores: Path) -> int:
    """N."""
    with open(scores / "scores.jsonl", encoding="utf-8") as file:
        return len(json.loads(file.readline())["exit_histogram"])


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def table(degrees: dict[int, Summary], overall: Summary) -> str:
    lines = ["degree  examples  accuracy  mean exit layer"]
    for name, summary in {**degrees, "all": overall}.items():
        lines.append(f"{name:>6}  {summary.examples:8}  {summary.accuracy:8.1%}  {summary.mean_exit:15.2f}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="by_degree.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="dev.tsv of the task Cues")
    parser.add_argument("scores", type=Path, help="what scoring that split has left")
    parser.add_argument("--rule", default="q_exit:0.5", help="exit rule to look at (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        answers, depth = read_answers(options.raw, options.scores, options.rule), read_depth(options.scores)
    except OSError as error:
        sys.exit(f"by_degree.py: error: {error.filename}: {error.strerror}")
    degrees, overall = by_degree(answers), summarise(answers)
    print(table(degrees, overall))
    if broken := broken_claims(degrees, overall, depth):
        sys.exit(f"by_degree.py: error: the claim does not hold ({'; '.join(broken)}): please report it with "
                 f"{options.scores.resolve()}")
    print(f"As claimed: harder sentences leave later, by {LATER_BY} layers or more from the easiest to the hardest; "
          f"accuracy is {ACCURACY:.0%} or better, and the mean exit layer at most {DEPTH} of {depth} layers.")


if __name__ == "__main__":
    main()
