"""The provenance of a report's numbers, in words.

It states split, seeds, selection, hardware, code and commands, and no path of a machine.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath

from ..command_file import typed, value_of
from ..definitions.definition import CALIBRATION
from ..tables import plain
from .escaping import code
from .runs import Run, official
from .task import Task


def caption(task: Task) -> str:
    """Split, size and score of the task's tables, and the unit of their FLOPs."""
    recorded = task.recorded
    return (f"Split `{recorded.split}`, {len(recorded.ids):,} examples. Score: {official(recorded)}, in points; mean ± "
            f"sample sd over seeds. FLOPs are given as a part of {task.full_flops / 1e9:.3g} GFLOPs, the cost of the "
            "deepest model without early exits.")


def selection(tasks: list[Task]) -> str:
    """How checkpoints and thresholds were selected, and which runs have no split to choose thresholds on."""
    runs = [(task, run) for task in tasks for run in task.runs]
    checkpoints = "; ".join(f"{how} ({_some([run.method for _, run in runs], methods)})"
                            for how, methods in _grouped((_checkpoints(run), run.method) for _, run in runs).items())
    sentences = [f"**Selection.** Each run keeps the checkpoint that is best {checkpoints}."]
    chosen = {task.name: len(run.seeds[0].calibration.ids) for task, run in runs if run.method in task.chosen}
    without = _grouped((task.name, run.method) for task, run in runs if run.main_rule and not run.calibrated)
    if chosen:
        sizes = ", ".join(f"{name} {examples:,}" for name, examples in chosen.items())
        sentences.append(
            f"Thresholds were chosen for each seed on the split `{CALIBRATION}`, a part of train that no layer was "
            f"trained on ({sizes} examples). The chosen threshold has the largest mean exit layer there "
            f"of at most the budget, N/3, N/2 or 2N/3. The reported split `{tasks[0].recorded.split}` was not used to "
            "choose any.")
    if without:
        names = "; ".join(f"{', '.join(map(plain, methods))} on {name}" for name, methods in without.items())
        sentences.append(f"No record of `{CALIBRATION}`, so that rules stand at the settings they were scored with: "
                         f"{names}.")
    return " ".join(sentences)


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The distinct second items of the pairs, by their first."""
    groups: dict[str, dict[str, None]] = {}
    for key, value in pairs:
        groups.setdefault(key, {})[value] = None
    return {key: list(values) for key, values in groups.items()}


def _some(everything: list[str], methods: list[str]) -> str:
    return "all" if set(methods) == set(everything) else ", ".join(map(plain, methods))


def origins(task: Task) -> str:
    """One line for all methods with the same seeds, selection of checkpoints, hardware and code."""
    methods = defaultdict(list)
    for run in task.runs:
        methods[f"{_seeds(run)}; {_selection(run)}; {_hardware(run)}; {_code(run)}."].append(run.method)
    return "\n".join(f"- **{', '.join(map(plain, names))}**: {about}" for about, names in methods.items())


def commands(task: Task) -> list[str]:
    """For each method, the commands that trained and scored its first seed."""
    lines = []
    for run in task.runs:
        seed = run.seeds[0]
        known = filter(None, (seed.command, seed.recorded.origin["command"]))
        lines += [f"# {run.method}, {seed.name}", *map(_shown, known)]
    return lines


def _seeds(run: Run) -> str:
    names = [seed.name.removeprefix("seed") for seed in run.seeds]
    return f"{'seed' if len(names) == 1 else 'seeds'} {', '.join(map(plain, names))}"


def _selection(run: Run) -> str:
    command = run.seeds[0].command
    if not command:
        return "how its checkpoints were selected is not known"
    examples = value_of(command, "--train-examples")
    trained = f"trained on {plain(_with_commas(examples))} rows of a seeded shuffle; " if examples else ""
    return f"{trained}checkpoints selected {_checkpoints(run)}"


def _with_commas(digits: str) -> str:
    """16000 becomes 16,000."""
    return re.sub(r"(?<=\d)(?=(\d{3})+$)", ",", digits)


def _checkpoints(run: Run) -> str:
    """The selection of checkpoints that the training command has: "by score on `holdout`"."""
    command = run.seeds[0].command
    if not command:
        return "by an unknown score"
    split = (value_of(command, "--valid-subset") or "valid").split(",")[0]
    return f"by {plain(value_of(command, '--best-checkpoint-metric') or 'loss')} on {code(split)}"


def _hardware(run: Run) -> str:
    devices = dict.fromkeys(_device(seed.recorded.origin["device"], seed.scored[0].row) for seed in run.seeds)
    return f"scored on {' and '.join(devices)}"


def _device(device: dict, row: dict) -> str:
    threads = f", {device['threads']} thread{'s' * (device['threads'] > 1)}" if "threads" in device else ""
    at_once = f"batches of {row['batch_size']}" if row["batch_size"] else "packed"
    return f"{device['type']} ({plain(device['name'])}{threads}), {row['dtype']}, {at_once}"


def _code(run: Run) -> str:
    commits = dict.fromkeys(_commit(seed.recorded.origin["git"]) for seed in run.seeds)
    torch = dict.fromkeys(seed.recorded.origin["versions"]["torch"] for seed in run.seeds)
    return f"commit {' and '.join(commits)}, torch {' and '.join(map(plain, torch))}"


def _commit(git: dict | None) -> str:
    return "unknown" if git is None else f"`{git['commit'][:12]}`{' with changes' if git['dirty'] else ''}"


def _shown(command: list[str]) -> str:
    """The command as typed; an absolute path, which means nothing elsewhere, by its last part."""
    return typed([f".../{PurePath(word).name}" if os.path.isabs(word) else word for word in command])
