"""The tables of a report, in Markdown. Scores and parts are in points: per cent, or a hundred times a correlation."""

import numpy as np

from ...exits.base import Rule
from ..bootstrap import Difference
from ..measures import calibration_error, failure_auroc
from .curves import Curve, at_cost
from .runs import Point, Run
from .task import Task, examples

POINTS = 100
BUDGETS = {"N/3": 1 / 3, "N/2": 1 / 2, "2N/3": 2 / 3}
NONE = "–"


def markdown(table: list[list[str]], words: int = 2) -> str:
    """The first line is the header; after the first ``words`` columns numbers stand to the right."""
    rule = ["---"] * words + ["---:"] * (len(table[0]) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (table[0], rule, *table[1:]))


def spread(values: list[float | None], digits: int = 2) -> str:
    """Mean ± the sample's standard deviation over seeds; one seed has none, nor has what some seed lacks."""
    if not values or None in values:
        return NONE
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


def usual_settings(task: Task) -> str:
    """Every method under the rules that it was scored with."""
    header = ["method", "exit rule", "seeds", "score", "mean exit", "FLOPs, %", "speed-up", "gained, %", "lost, %"]
    if not task.recorded.metrics.task.regression:
        header += ["ECE, %", "AUROC"]
    return markdown([header, *([run.method, f"`{rule.spec}`", str(len(run.seeds)), *_row(task, run, rule)]
                               for run in task.runs for rule in run.rules)])


def _row(task: Task, run: Run, rule: Rule) -> list[str]:
    rows = [point.row for point in run.points(rule)]
    return [
        spread([POINTS * row["metrics"]["score"] for row in rows]),
        spread([row["mean_exit"] for row in rows]),
        spread([100 * row["mean_flops"] / task.full_flops for row in rows], 1),
        spread(_speed_ups(run.points(run.full_model), run.points(rule))),
        *(spread([100 * row[name] for row in rows], 1) for name in ("gained", "lost")),
        *_calibration(run, rule),
    ]


def _speed_ups(full: list[Point], points: list[Point]) -> list[float]:
    """Seconds of the method's own last layer over the rule's, of each seed; none where that was not timed."""
    return [before.row["seconds"] / point.row["seconds"] for before, point in zip(full, points)]


def _calibration(run: Run, rule: Rule) -> list[str]:
    found = examples(run, rule)
    if found.confidences is None:
        return []
    pairs = list(zip(found.confidences, 1 - found.errors))
    return [spread([100 * calibration_error(*pair) for pair in pairs], 1), spread([failure_auroc(*pair) for pair in pairs], 3)]


def matched_cost(task: Task) -> str:
    """Every rule that fits a method's model, and its fixed exits, at parts of the deepest model's operations."""
    lines = []
    for run in task.runs:
        for curve in (task.static[run.method], *task.curves[run.method].values()):
            found = [at_cost(curve, part * task.full_flops) for part in BUDGETS.values()]
            lines.append([run.method, f"`{curve.rule}`",
                          *(spread([POINTS * score for score in one.scores]) if one else NONE for one in found)])
    return markdown([["method", "rule", *BUDGETS], *lines])


def matched_differences(task: Task, resamples: int) -> str:
    """Pairs of rules at the same operations: each method's main rule against its own fixed exits, and the first method that
    adapts against every other one."""
    first, *_ = task.adaptive
    pairs = [(task.main_curve(run), task.static[run.method]) for run in task.adaptive]
    pairs += [(task.main_curve(first), task.main_curve(run)) for run in task.runs if run is not first]
    lines = {pair: [_named(pair[0]), _named(pair[1])] for pair in pairs}
    for part in BUDGETS.values():
        curves = dict.fromkeys(curve for pair in pairs for curve in pair)
        found = {curve: at_cost(curve, part * task.full_flops) for curve in curves}
        drawn = {curve: one.resampled(resamples) for curve, one in found.items() if one}
        for (a, b), line in lines.items():
            both = a in drawn and b in drawn
            line.append(Difference.of(found[a].score - found[b].score, drawn[a] - drawn[b]).points if both else NONE)
    return markdown([["A", "B", *(f"A − B at {name}" for name in BUDGETS)], *lines.values()])


def _named(curve: Curve) -> str:
    return f"{curve.run.method} `{curve.rule}`"
