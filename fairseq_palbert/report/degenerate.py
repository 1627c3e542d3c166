"""Name results that look like scores, and are none: no early exit, one class, no correlation."""

from collections.abc import Callable

from ..analysis.records import predictions
from ..analysis.sweep import decisions
from ..exits.base import Rule
from ..tables import plain
from .runs import Seed, adapts
from .task import Task
from .thresholds import Setting


def degenerate(tasks: list[Task]) -> str:
    """One line under the first table; empty where no method's main setting is degenerate."""
    remarks = [f"{plain(method)} on {task.name} {what}" for task in tasks for method, shown in task.main.items()
               for what in _remarks(shown)]
    return f"**Degenerate.** {'; '.join(remarks)}." if remarks else ""


def _remarks(shown: Setting) -> list[str]:
    """What is true of a seed, with the names of the seeds unless it is true of all."""
    remarks = []
    for what, holds in CASES.items():
        seeds = [seed.name for seed, rule, row in zip(shown.run.seeds, shown.rules, shown.rows, strict=True)
                 if holds(seed, rule, row)]
        if seeds:
            names = "" if len(seeds) == len(shown.rows) else f" ({', '.join(map(plain, seeds))})"
            remarks.append(what + names)
    return remarks


def _never_exits(seed: Seed, rule: Rule, row: dict) -> bool:
    return adapts(type(rule)) and row["exit_histogram"][-1] == row["examples"]


def _answers_one_class(seed: Seed, rule: Rule, row: dict) -> bool:
    answers = predictions(decisions(seed.recorded, rule).outputs)
    return seed.recorded.outputs > 1 and len(answers) > 1 and bool((answers == answers[0]).all())


def _has_no_correlation(seed: Seed, rule: Rule, row: dict) -> bool:
    return row["metrics"].get("matthews") == 0


CASES: dict[str, Callable[[Seed, Rule, dict], bool]] = {
    "never exits early": _never_exits,
    "answers every example with one class": _answers_one_class,
    "has a Matthews correlation of 0": _has_no_correlation,
}
