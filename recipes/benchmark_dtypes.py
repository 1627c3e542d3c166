"""A trained model in float32, bfloat16, float16 and int8 on a whole split.

Of each precision: its speed over float32's, how many predictions and exit layers are float32's, and the difference in
the task's score. Sentences are packed.

    recipes/benchmark_dtypes.sh CHECKPOINT --data DATA/SST-2 [--exit RULE ...] [--dtype D ...] [--compile] [--rounds 5]

Inputs:    a checkpoint, or the folder it was exported to, and the binarized task. --compile needs a C++ compiler.
Variables: OMP_NUM_THREADS (default: the number of cores).
Outputs:   a table for each rule on standard output.
Hardware:  the CPU, or a GPU by --device cuda.
Duration:  on 2 cores about 2 minutes for MiniLM-L6 on SST-2's dev set.
"""

import argparse
import copy
import logging
import statistics
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

import fairseq_palbert.plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
from fairseq_palbert.analysis.records import predictions
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.split import load_split
from fairseq_palbert.exits.base import Decisions
from fairseq_palbert.exits.registry import parse_rules
from fairseq_palbert.inference.engine import Workload, decide
from fairseq_palbert.inference.flags import device_of, fitting_window
from fairseq_palbert.inference.for_inference import DTYPES, INT8, for_inference
from fairseq_palbert.modules.pondering import PonderingClassifier
from fairseq_palbert.tables import markdown
from recipes import command_line
from recipes.timing import in_turn, points

COMPILED = "float32 by torch.compile"
EQUAL_VALUES = 0.1  # regression values that differ by at most this are equal
COLUMNS = ("dtype", "sentences/s", "times float32", "predictions equal, %", "exit layers equal, %", "within one, %",
           "score", "difference")


def parser() -> argparse.ArgumentParser:
    options = command_line.parser("benchmark_dtypes.sh", __doc__)
    add = options.add_argument
    add("checkpoint", type=Path, help="a checkpoint, or the folder it was exported to")
    add("--data", required=True, type=Path, help="folder of the binarized task")
    add("--split", default="valid", help="split to run (default: valid)")
    add("--exit", action="append", default=[], metavar="RULE", dest="rules", help="exit rule, any number of times")
    add("--dtype", action="append", choices=DTYPES, dest="dtypes",
        help="precision, any number of times (default: all); float32 always runs")
    add("--compile", action="store_true", help="also run float32 by torch.compile")
    add("--rounds", type=int, default=5, help="timed runs of each precision, in turn (default: 5)")
    add("--device", default="cpu", help="device, as torch names it (default: cpu)")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    if options.rounds < 1:
        raise UserError(f"--rounds {options.rounds}: at least 1")
    device, rules = device_of(options.device), parse_rules(options.rules)
    warnings.simplefilter("ignore")
    model = load_model(options.checkpoint, str(options.data), None)
    for rule in rules:
        rule.check(model.network)
    split = load_split(model.task, options.split)
    if split.targets is None:
        raise UserError(f"{options.data}: {options.split} has no labels, and a precision is judged by the score: "
                        "choose another split")
    networks = in_every_dtype(model.network, options.dtypes or DTYPES, device)
    if options.compile:
        networks[COMPILED] = compiled(model.network.to(device))
    workload = Workload(split.sentences, fitting_window(model.network, device), device, split.ids)
    for rule in rules:
        print(f"{model.task.definition.name}, {split.name}, {len(split.sentences)} examples, {rule.spec}, "
              f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
        runs = in_turn({name: partial(decide, network, rule, workload) for name, network in networks.items()},
                       options.rounds)
        print(table(runs, partial(points, model.task.metrics, split.references)), flush=True)


def in_every_dtype(network: PonderingClassifier, dtypes: list[str],
                   device: torch.device) -> dict[str, PonderingClassifier]:
    """The network in float32 and in each dtype; int8 on a CPU only."""
    wanted = [dtype for dtype in dict.fromkeys(["float32", *dtypes]) if dtype != INT8 or device.type == "cpu"]
    return {dtype: for_inference(copy.deepcopy(network), dtype, device) for dtype in wanted}


def compiled(network: PonderingClassifier) -> PonderingClassifier:
    """Compile every layer by torch.compile, with its weights as constants."""
    # Silences recompilations: packings differ in shape, and a layer is compiled up to 8 times.
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
    for layer in network.eval().requires_grad_(False).encoder.layers:
        layer.compile(dynamic=True, options={"freezing": True})
    return network


def table(runs: dict[str, tuple[Decisions, list[float]]], score: Callable[[Decisions], float]) -> str:
    """A Markdown table, one row a network, each compared with the first; speeds are of the median times."""
    rows = [COLUMNS]
    reference, reference_times = next(iter(runs.values()))
    for name, (decided, times) in runs.items():
        seconds = statistics.median(times)
        rows.append([name, f"{len(decided.exit_layers) / seconds:.1f}",
                     f"{statistics.median(reference_times) / seconds:.2f}", *agreement(reference, decided),
                     f"{score(decided):.2f}", f"{score(decided) - score(reference):+.2f}"])
    return markdown(rows, words=1) + "\n"


def agreement(reference: Decisions, decided: Decisions) -> list[str]:
    """Equal predictions (for regression, at most 0.1 apart), exit layers equal and within one, in per cent."""
    values, expected = predictions(decided.outputs), predictions(reference.outputs)
    equal = (values - expected).abs() <= EQUAL_VALUES if values.is_floating_point() else values == expected
    apart = (decided.exit_layers - reference.exit_layers).abs()
    return [f"{100 * share.double().mean():.1f}" for share in (equal, apart == 0, apart <= 1)]


if __name__ == "__main__":
    run(main)
