"""The scores of trained models against measured milliseconds a sentence, packed.

    recipes/benchmark_tradeoff.sh --model NAME RULE CHECKPOINT [--model ...] --data DATA/SST-2 --out OUT

Inputs:    the binarized task, and for each model a name, an exit rule and a checkpoint of fairseq-train or the folder
           that it was exported to. RULE is a rule's name, which is run over its whole range (q_exit), or a rule with
           its parameter (fixed:6). A NAME that is given again, with other settings, is the same line of the plot.
Variables: OMP_NUM_THREADS (default: the number of cores).
Outputs:   OUT/tradeoff.jsonl (an object a model and threshold, with every time taken) and OUT/tradeoff.svg; a table on
           standard output.
Hardware:  the CPU, or a GPU by --device cuda.
Duration:  on 2 cores about 2 minutes a model for MiniLM-L6 on SST-2's dev set.
"""

import argparse
import statistics
import sys
import warnings
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path

import torch

import fairseq_palbert.plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.split import load_split
from fairseq_palbert.exits.base import Decisions, Rule
from fairseq_palbert.exits.registry import RULES, parse_rule
from fairseq_palbert.files import staged, write_json_lines
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.flags import device_of, fitting_window
from fairseq_palbert.inference.for_inference import DTYPES, for_inference
from fairseq_palbert.report.style import PANEL, colours, panels
from fairseq_palbert.tables import markdown
from recipes import command_line
from recipes.timing import in_turn, points

COLUMNS = ("model", "exit rule", "mean exit layer", "score", "ms a sentence")


def parser() -> argparse.ArgumentParser:
    options = command_line.parser("benchmark_tradeoff.sh", __doc__)
    add = options.add_argument
    add("--model", required=True, nargs=3, action="append", dest="models", metavar=("NAME", "RULE", "CHECKPOINT"),
        help="a trained model, any number of times")
    add("--data", required=True, help="folder of the binarized task")
    add("--split", default="valid", help="split to run (default: valid)")
    add("--points", type=int, default=12, help="approximate number of thresholds of a rule (default: 12)")
    add("--rounds", type=int, default=3, help="timed runs of each threshold, in turn (default: 3)")
    add("--dtype", default="float32", choices=DTYPES)
    add("--device", default="cpu", help="device, as torch names it (default: cpu)")
    add("--out", required=True, type=Path, help="folder for tradeoff.jsonl and tradeoff.svg")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    for name in ("rounds", "points"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} {getattr(options, name)}: at least 1")
    for (name, rule, _), (other, later, _) in combinations(options.models, 2):
        if name == other and collide(rule, later):
            raise UserError(f"--model {name} {later}: cannot be told apart from {name} {rule}: give each model its own "
                            "NAME")
    device = device_of(options.device)
    warnings.simplefilter("ignore")
    runs, score, examples = {}, None, 0
    for name, rule, checkpoint in options.models:
        model = load_model(Path(checkpoint), options.data, None)
        split = load_split(model.task, options.split)
        if split.targets is None:
            raise UserError(f"{options.data}: {options.split} has no labels: choose a split that has")
        score, examples = partial(points, model.task.metrics, split.references), len(split.sentences)
        network = for_inference(model.network, options.dtype, device)
        workload = Workload(split.sentences, fitting_window(network, device), device, split.ids)
        for setting in settings(rule, network, workload, options.points):
            runs[name, setting.spec] = partial(decide, network, setting, workload)
    with staged(options.out) as folder:
        rows = measure(runs, score, examples, options.rounds)
        write_json_lines(folder / "tradeoff.jsonl", rows)
        plot(folder / "tradeoff.svg", rows, f"{Path(options.data).name}, {options.split}, {options.dtype}, "
                                            f"{torch.get_num_threads()} threads")
    print(table(rows))


def collide(rule: str, other: str) -> bool:
    """Whether both are run over their whole range, or may have a setting in common."""
    if rule in RULES and other in RULES:
        return True
    if rule in RULES or other in RULES:
        return rule.partition(":")[0] == other.partition(":")[0]
    return parse_rule(rule) == parse_rule(other)


def settings(named: str, network, workload: Workload, number: int) -> list[Rule]:
    """The rule, or its thresholds over its whole range. Raises UserError where it does not fit the network."""
    if named not in RULES:
        rule = parse_rule(named)
        rule.check(network)
        return [rule]
    if reason := RULES[named].misfit(network):
        raise UserError(f"exit rule {named}: {reason}")
    return RULES[named].sweep(record(network, workload), number)


def measure(runs: dict[tuple[str, str], Callable[[], Decisions]], score: Callable[[Decisions], float], examples: int,
            rounds: int) -> list[dict]:
    """The rows of tradeoff.jsonl: score in points, times in ms a sentence."""
    rows = []
    for (name, rule), (decided, times) in in_turn(runs, rounds, progress=sys.stderr).items():
        milliseconds = [1000 * seconds / examples for seconds in times]
        rows.append({"model": name, "exit": rule, "mean_exit": float(decided.exit_layers.double().mean()),
                     "score": score(decided), "milliseconds": milliseconds})
    return rows


def median(row: dict) -> float:
    return statistics.median(row["milliseconds"])


def table(rows: list[dict]) -> str:
    return markdown([COLUMNS] + [[row["model"], row["exit"], f"{row['mean_exit']:.2f}", f"{row['score']:.2f}",
                                  f"{median(row):.2f}"] for row in rows], words=2)


def plot(path: Path, rows: list[dict], title: str) -> None:
    """Score against ms a sentence: a line a model in the order of time, a square for a model of one setting."""
    names = list(dict.fromkeys(row["model"] for row in rows))
    with panels(path, 1) as (figure, (axes,)):
        figure.set_size_inches(1.6 * PANEL[0], 1.2 * PANEL[1])
        for name, colour in colours(names).items():
            curve = sorted((median(row), row["score"]) for row in rows if row["model"] == name)
            axes.plot(*zip(*curve), color=colour, label=name, linewidth=1.4, marker="s" if len(curve) == 1 else ".")
        axes.set(title=title, xlabel="ms a sentence, packed", ylabel="score, points")
        axes.set_xlim(left=0)
        axes.legend()


if __name__ == "__main__":
    run(main)
