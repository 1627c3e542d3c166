"""Read ``predictions.tsv``, the answers of every scored exit rule."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..numbers_from_text import integer
from ..scores_file import MOST_EXAMPLES, SCORES_FILE, check_unchanged, read_scores
from ..tsv import read_header, read_rows

PREDICTIONS_FILE = "predictions.tsv"
INDEX, LABEL = "index", "label"
PREDICTION, EXIT_LAYER = ".prediction", ".exit_layer"  # after the rule's name
REMEDY = "score the split again"


@dataclass(frozen=True)
class RuleAnswers:
    """A rule's answers to E examples, in the order of their ``ids`` [E], which are rows of the split's file.

    ``labels`` [E] (empty where unknown) and ``predictions`` [E] are class names, or numbers as the file spells them;
    ``exit_layers`` [E]. ``score``: the official one in ``scores.jsonl``, None where labels are unknown.
    """

    ids: list[int]
    labels: list[str]
    predictions: list[str]
    exit_layers: list[int]
    score: float | None = None


def scored_rules(path: Path) -> list[str]:
    """The rules that the file has answers of. Raises UserError where it is missing or empty."""
    return [name.removesuffix(PREDICTION) for name in read_header(path, REMEDY) if name.endswith(PREDICTION)]


def read_predictions(path: Path, rule: str, rows: int | None = None, task: str | None = None) -> RuleAnswers:
    """The answers of one rule, held to the rule's line in ``scores.jsonl`` beside the file.

    ``rows``: the number of rows in the split's file, where known; each of them must then have an answer.

    Raises UserError for the first mistake found: a missing file, a missing rule, scores of another task, invalid TSV,
    an index or a layer that is not a number, an index that comes twice, another number of rows than was scored, other
    exit layers than were scored, or not exactly one row for each of ``rows``.
    """
    check_unchanged(path)
    rules = scored_rules(path)
    if rule not in rules:
        raise UserError(f"{path} has no exit rule {rule!r}: choose from {', '.join(rules)}, or score it with "
                        f"--exit {rule}")
    scores = path.with_name(SCORES_FILE)
    scored = {row["exit"]: row for row in read_scores(scores, task)}
    if rule not in scored:
        raise UserError(f"{scores} has no exit rule {rule!r}, and {path.name} beside it has: {REMEDY}")
    answers, columns = {}, (INDEX, LABEL, rule + PREDICTION, rule + EXIT_LAYER)
    examples, histogram = scored[rule]["examples"], list(scored[rule]["exit_histogram"])
    for index, label, prediction, layer in read_rows(path, columns, REMEDY):
        try:
            place, n = integer(index, 0, MOST_EXAMPLES), integer(layer, 1, len(histogram))
        except ValueError as error:
            raise UserError(f"{path} has the index {index!r} with the exit layer {layer!r}: {error}: "
                            f"{REMEDY}") from error
        if place in answers:
            raise UserError(f"{path} has the index {index} twice: {REMEDY}")
        answers[place] = label, prediction, n
        histogram[n - 1] -= 1
    if any(histogram):
        raise UserError(f"{path} has {len(answers)} rows, and {scores.name} beside it {examples} examples, or they "
                        f"exit at other layers: {REMEDY}")
    if rows is not None and answers.keys() != set(range(rows)):
        raise UserError(f"{path} has {len(answers)} rows, not one for each of the {rows} of its split: "
                        "preprocess the whole file, and score that")
    ids = sorted(answers)
    return RuleAnswers(ids, *map(list, zip(*(answers[index] for index in ids))),
                       scored[rule]["metrics"].get("score"))
