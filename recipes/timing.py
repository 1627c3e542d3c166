"""Time runs of the engine in turn, and score their decisions."""

import time
from collections.abc import Callable, Hashable
from typing import TextIO, TypeVar

from fairseq_palbert.definitions.metrics import References, TaskMetrics
from fairseq_palbert.exits.base import Decisions

Name = TypeVar("Name", bound=Hashable)


def in_turn(runs: dict[Name, Callable[[], Decisions]], rounds: int,
            progress: TextIO | None = None) -> dict[Name, tuple[Decisions, list[float]]]:
    """The decisions of each run, and its seconds in each of the rounds, after a warm-up."""
    decided = {name: decide() for name, decide in runs.items()}
    seconds = {name: [] for name in runs}
    for number in range(rounds):
        for name, decide in runs.items():
            start = time.perf_counter()
            decide()
            seconds[name].append(time.perf_counter() - start)
        if progress:
            print(f"round {number + 1} of {rounds}", file=progress, flush=True)
    return {name: (decided[name], taken) for name, taken in seconds.items()}


def points(metrics: TaskMetrics, references: References, decided: Decisions) -> float:
    """The task's score of the decisions, in points."""
    return 100 * metrics.of_units(metrics.units(decided.outputs, references))["score"]
