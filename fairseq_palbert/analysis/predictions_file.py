"""Reads ``predictions.tsv``, in which scoring leaves what every exit rule answered."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..tsv import read_header, read_rows

PREDICTIONS_FILE = "predictions.tsv"
INDEX, LABEL = "index", "label"
PREDICTION, EXIT_LAYER = ".prediction", ".exit_layer"  # behind the rule's name
REMEDY = "score the split again"


@dataclass(frozen=True)
class RuleAnswers:
    """What a rule answered for E examples in the order of their ``ids`` [E], their rows in the split's file.

    ``labels`` [E] (empty where unknown) and ``predictions`` [E] are classes by their names, or numbers, as they are
    spelt in the file; ``exit_layers`` [E].
    """

    ids: list[int]
    labels: list[str]
    predictions: list[str]
    exit_layers: list[int]


def scored_rules(path: Path) -> list[str]:
    """The rules that the file answers by. Raises UserError where it is missing or empty."""
    return [name.removesuffix(PREDICTION) for name in read_header(path, REMEDY) if name.endswith(PREDICTION)]


def read_predictions(path: Path, rule: str, rows: int | None = None) -> RuleAnswers:
    """The answers of one rule; ``rows``: of the split's file, each of which is to be answered, where that is known.

    Raises UserError, by the first that is wrong: a file that is missing, lacks the rule or is no strict TSV, an index
    or a layer that is no number, an index that comes twice, no rows, or others than ``rows``.
    """
    rules = scored_rules(path)
    if rule not in rules:
        raise UserError(f"{path} has no exit rule {rule!r}: choose from {', '.join(rules)}, or score it with "
                        f"--exit {rule}")
    answers, columns = {}, (INDEX, LABEL, rule + PREDICTION, rule + EXIT_LAYER)
    for index, label, prediction, layer in read_rows(path, columns, REMEDY):
        if not (index.isdecimal() and layer.isdecimal()):
            raise UserError(f"{path} has the index {index!r} with the exit layer {layer!r}, which should be numbers: "
                            f"{REMEDY}")
        if int(index) in answers:
            raise UserError(f"{path} has the index {index} twice: {REMEDY}")
        answers[int(index)] = label, prediction, int(layer)
    if not answers or rows is not None and answers.keys() != set(range(rows)):
        raise UserError(f"{path} has {len(answers)} rows, not one for each of the {rows or 'examples'} of its split: "
                        "preprocess the whole file, and score that")
    ids = sorted(answers)
    return RuleAnswers(ids, *map(list, zip(*(answers[index] for index in ids))))
