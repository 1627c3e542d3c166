"""The tables of a report, in Markdown.

Scores and shares are in points: per cent, or a hundred times a correlation.
"""

import numpy as np

from ..analysis.measures import calibration_error, failure_auroc
from ..exits.base import Rule
from ..tables import markdown, plain
from .claims import MEAN, Claim, against_fixed_models, against_other_rules, by_task_and_pooled, ordering
from .runs import Run
from .task import Task, examples
from .thresholds import HALF, Setting, setting

POINTS = 100
NONE = "–"


def spread(values: list[float | None], digits: int = 2) -> str:
    """Mean ± the sample's standard deviation over seeds; one seed has no deviation.

    A dash where there is no value, or a seed lacks it.
    """
    if not values or None in values:
        return NONE
    deviation = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{deviation}"


CHOSEN = ["exit rule", "threshold, by seed", "score", "mean exit", "sd of exits", "layer speed-up"]


def front(tasks: list[Task]) -> str:
    """Every method at the threshold chosen for N/2 layers.

    The first lines are means over tasks, of methods that every task has. Then comes each task.
    """
    lines = []
    for method in dict.fromkeys(run.method for task in tasks for run in task.runs):
        settings = [task.main[method] for task in tasks if method in task.main]
        if 1 < len(tasks) == len(settings):
            means = np.mean([np.mean([[_score(row), _exit(row), _sd(row), task.depth / _exit(row)]
                                      for row in chosen.rows], 0) for task, chosen in zip(tasks, settings)], 0)
            rules = dict.fromkeys(f"`{chosen.name}`" for chosen in settings)
            lines.append([MEAN, plain(method), " ".join(rules), "", *(f"{value:.2f}" for value in means)])
    lines += [[task.name, plain(method), *_cells(task, chosen)] for task in tasks
              for method, chosen in task.main.items()]
    return markdown([["task", "method", *CHOSEN], *lines], words=3)


def chosen_thresholds(task: Task) -> str:
    """The rules of every method with a calibration record, at the thresholds chosen for each budget."""
    lines = [[plain(method), budget, *_cells(task, chosen), *_group_cells(task, chosen.rows)]
             for method, settings in task.chosen.items() for (_, budget), chosen in settings.items()]
    return markdown([["method", "budget", *CHOSEN, *_group_header(task)], *lines], words=3)


def _cells(task: Task, shown: Setting) -> list[str]:
    as_scored = f"{shown.thresholds} (as scored)" if shown.run.main_rule else NONE
    thresholds = shown.thresholds if shown.chosen else as_scored
    rule = f"`{shown.name}`" if shown.run.main_rule else f"`{shown.rules[0].spec}`"
    return [rule, thresholds, spread([_score(row) for row in shown.rows]), spread([_exit(row) for row in shown.rows]),
            spread([_sd(row) for row in shown.rows]), spread([task.depth / row["mean_exit"] for row in shown.rows])]


def _group_header(task: Task) -> list[str]:
    return [] if task.recorded.groups is None else ["layers a group"]


def _group_cells(task: Task, rows: list[dict]) -> list[str]:
    """The mean over groups of the sum of their rows' exit layers."""
    return [spread([row["layers_per_group"] for row in rows]) for _ in _group_header(task)]


def _score(row: dict) -> float:
    return POINTS * row["metrics"]["score"]


def _exit(row: dict) -> float:
    return row["mean_exit"]


def _sd(row: dict) -> float:
    return row["sd_exit"]


def depth_is_earned(tasks: list[Task], resamples: int) -> str | None:
    """Claim (a): the spread of exits at the thresholds chosen for N/2 layers, and the score minus that of fixed depths.

    None where no thresholds can be chosen.
    """
    def chosen(task: Task, run: Run) -> Setting | None:
        return task.chosen[run.method][run.main_rule.name, HALF] if run.method in task.chosen else None

    def make(task: Task, run: Run, bootstrap) -> list[Claim]:
        at_half = chosen(task, run)
        return against_fixed_models(task, at_half, bootstrap) if at_half else []

    claims_by_task = by_task_and_pooled(tasks, make, resamples)
    if not claims_by_task:
        return None
    settings = {(task.name, run.method): chosen(task, run) for task in tasks for run in task.runs if run.claims_depth}
    others = list(dict.fromkeys(claim.other for _, claims in claims_by_task for claim in claims))
    lines = []
    for task, claims in claims_by_task:
        at_half, by_other = settings.get((task, claims[0].method)), {claim.other: claim for claim in claims}
        exits = [NONE, NONE] if at_half is None else [spread([_exit(row) for row in at_half.rows]),
                                                      _by_seed(map(_sd, at_half.rows))]
        lines.append([task, plain(claims[0].method), *exits, f"{POINTS * claims[0].a:.2f}",
                      *(_difference(by_other.get(other), claims) for other in others)])
    return markdown([["task", "method", "mean exit", "sd of exits, by seed", "score",
                      *(f"− {other}" for other in others)], *lines])


def areas(tasks: list[Task], resamples: int) -> str | None:
    """Claim (b): Q-exit's mean score over mean exits of N/3 to 2N/3, minus that of other rules on the same models."""
    def make(task: Task, run: Run, bootstrap) -> list[Claim]:
        return against_other_rules(task, run, bootstrap)

    claims_by_task = by_task_and_pooled(tasks, make, resamples)
    others = list(dict.fromkeys(claim.other for _, claims in claims_by_task for claim in claims))
    lines = [[task, plain(claims[0].method), f"{POINTS * claims[0].a:.2f}",
              *(_difference({claim.other: claim for claim in claims}.get(other), claims) for other in others)]
             for task, claims in claims_by_task]
    return markdown([["task", "method", "area of `q_exit`", *(f"− `{other}`" for other in others)],
                     *lines]) if claims_by_task else None


def orderings(tasks: list[Task], resamples: int) -> str | None:
    """Claim (c): sampling < Q-exit <= expectation, at q = 0.5."""
    claims_by_task = by_task_and_pooled(tasks, ordering, resamples)
    lines = [[task, plain(first.method), *(f"{POINTS * score:.2f}" for score in (first.b, first.a, second.a)),
              *(claim.difference.points for claim in (first, second)), "yes" if first.b < first.a <= second.a else "no"]
             for task, (first, second) in claims_by_task]
    lines += [[task.name, plain(run.method), "– (none of groups)", *[NONE] * 5]
              for task in tasks if task.recorded.groups is not None for run in task.runs if run.claims_depth]
    header = ["task", "method", "sampling", "Q-exit 0.5", "expectation", "Q-exit − sampling", "expectation − Q-exit",
              "in order"]
    return markdown([header, *lines]) if lines else None


def _difference(claim: Claim | None, beside: list[Claim]) -> str:
    """The difference in points, with its number of tasks where others in the line are means of more."""
    if claim is None:
        return NONE
    fewer = claim.tasks < max(other.tasks for other in beside)
    return claim.difference.points + (f", {claim.tasks} tasks" if fewer else "")


def _by_seed(values) -> str:
    return ", ".join(f"{value:.2f}" for value in values)


def usual_settings(task: Task) -> str:
    """Every method under the rules that it was scored with."""
    header = ["method", "exit rule", "seeds", "score", "mean exit", *_group_header(task), "FLOPs, %", "gained, %",
              "lost, %"]
    if not task.recorded.task.regression:
        header += ["ECE, %", "AUROC"]
    return markdown([header, *([plain(run.method), f"`{rule.spec}`", str(len(run.seeds)), *_row(task, run, rule)]
                               for run in task.runs for rule in run.rules)])


def _row(task: Task, run: Run, rule: Rule) -> list[str]:
    rows = [point.row for point in run.points(rule)]
    return [
        spread([_score(row) for row in rows]),
        spread([_exit(row) for row in rows]),
        *_group_cells(task, rows),
        spread([100 * row["mean_flops"] / task.full_flops for row in rows], 1),
        *(spread([100 * row[name] for row in rows], 1) for name in ("gained", "lost")),
        *_calibration(run, rule),
    ]


def _calibration(run: Run, rule: Rule) -> list[str]:
    decided = examples(setting(run, rule.name, [rule] * len(run.seeds), chosen=False))
    if decided.confidences is None:
        return []
    pairs = list(zip(decided.confidences, 1 - decided.errors))
    return [spread([100 * calibration_error(*pair) for pair in pairs], 1),
            spread([failure_auroc(*pair) for pair in pairs], 3)]
