"""Check the quickstart's claims on accuracy and mean exit layer by degree.

    python recipes/by_degree.py RAW_DEV_TSV SCORES_FOLDER [--rule q_exit:0.5]

Joins the rows of the raw dev.tsv with SCORES_FOLDER/predictions.tsv by example index. The column ``degree`` of dev.tsv
is the difficulty; no model sees it. N is the length of the exit histogram in SCORES_FOLDER/scores.jsonl.

The claims: the model exits later on harder sentences, by at least 0.3 layers from the easiest degree to the hardest.
From one degree to the next it never exits earlier by more than 0.05 layers. Accuracy is at least 95 %, and the mean
exit layer at most 0.75 N. Where a claim does not hold, the command prints one line and exits with status 1.
"""

import argparse
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from fairseq_palbert.analysis.predictions_file import PREDICTIONS_FILE, read_predictions
from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.scores_file import SCORES_FILE, read_scores
from fairseq_palbert.tables import aligned
from fairseq_palbert.tsv import read_rows

LATER_BY = 0.3  # layers, from the easiest to the hardest degree
ALIKE = 0.05  # layers; degrees that are no further apart may come in either order
ACCURACY = 0.95
DEPTH = 0.75  # of N


@dataclass(frozen=True)
class Answer:
    degree: int
    right: bool
    exit_layer: int


@dataclass(frozen=True)
class Summary:
    """``examples`` answers: their ``accuracy`` from 0 to 1, and their ``mean_exit`` in layers."""

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
    """The claims that do not hold, in words; ``depth`` is N."""
    exits = [summary.mean_exit for summary in degrees.values()]
    broken = []
    if overall.accuracy < ACCURACY:
        broken.append(f"accuracy {overall.accuracy:.1%} is below {ACCURACY:.0%}")
    if overall.mean_exit > DEPTH * depth:
        broken.append(f"the mean exit layer {overall.mean_exit:.2f} is above {DEPTH * depth:.2f} of {depth}")
    if exits[-1] - exits[0] < LATER_BY:
        broken.append(f"the hardest degree leaves {exits[-1] - exits[0]:.2f} layers after the easiest, not {LATER_BY}")
    broken += [f"degree {harder} leaves before degree {easier}, by more than {ALIKE} layers"
               for (easier, harder) in pairwise(degrees)
               if degrees[harder].mean_exit < degrees[easier].mean_exit - ALIKE]
    return broken


def read_answers(raw: Path, scores: Path, rule: str) -> list[Answer]:
    """Join both files. Raises UserError where they do not belong together or the rule was not scored."""
    degrees = [int(degree) for degree, in read_rows(raw, ("degree",), "generate it again")]
    scored = read_predictions(scores / PREDICTIONS_FILE, rule, len(degrees))
    rows = zip(degrees, scored.labels, scored.predictions, scored.exit_layers)
    return [Answer(degree, prediction == label, layer) for degree, label, prediction, layer in rows]


def read_depth(scores: Path) -> int:
    """N. Raises UserError where there is no scores.jsonl."""
    return len(read_scores(scores / SCORES_FILE)[0]["exit_histogram"])


def table(degrees: dict[int, Summary], overall: Summary) -> str:
    rows = [[str(name), str(summary.examples), f"{summary.accuracy:.1%}", f"{summary.mean_exit:.2f}"]
            for name, summary in {**degrees, "all": overall}.items()]
    return aligned([["degree", "examples", "accuracy", "mean exit layer"], *rows])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="by_degree.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="raw dev.tsv of the task Cues")
    parser.add_argument("scores", type=Path, help="folder of that split's scores")
    parser.add_argument("--rule", default="q_exit:0.5", help="exit rule to check (default: %(default)s)")
    options = parser.parse_args(argv)
    answers, depth = read_answers(options.raw, options.scores, options.rule), read_depth(options.scores)
    degrees, overall = by_degree(answers), summarise(answers)
    print(table(degrees, overall))
    if broken := broken_claims(degrees, overall, depth):
        raise UserError(f"the claim does not hold ({'; '.join(broken)}): please report it with "
                        f"{options.scores.resolve()}")
    print(f"As claimed: harder sentences leave later, by {LATER_BY} layers or more from the easiest to the hardest; "
          f"accuracy is {ACCURACY:.0%} or better, and the mean exit layer at most {DEPTH} of {depth} layers.")


if __name__ == "__main__":
    run(main)
