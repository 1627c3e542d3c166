"""How fast a model runs, with and without early exit.

The same weights and sentences go through (a) stock fairseq, (b) transformers, (c) early exit one sentence at a time,
(d) a padded batch that waits for its slowest row, (e) a padded batch whose exited rows are dropped, (f) ONNX Runtime at
full depth, (g) this engine at batch 1, 8, 32, 128 and packed, and packed in bfloat16 and int8 where the CPU has
instructions for them. Packed, it also runs with heads that read the first token and the mean over tokens, with the same
weights and exits.

    recipes/benchmark.sh --data DATA/SST-2 --out OUT [--sentences 128] [--rounds 5]
    recipes/benchmark.sh --checkpoint CHECKPOINT --data DATA/SST-2 --out OUT [--exit q_exit:0.5 | --drawn MEAN]

Inputs:    a binarized task (recipes/glue_task.sh leaves one, palbert data makes one). CHECKPOINT is a trained model of
           any family, a checkpoint of fairseq-train or the folder that one was exported to, and exits by its own rule;
           (a) is left out, with a line that says so, where fairseq cannot compute it. Without CHECKPOINT a RoBERTa of
           random weights, 12 x 768, on data of RoBERTa's tokenizer, exits by a geometric distribution of mean N / 2.
           Needs recipes/setup.sh --benchmark.
Variables: OMP_NUM_THREADS (default: the number of cores).
Outputs:   OUT/benchmark.json (every time taken), OUT/benchmark.md, OUT/benchmark.png. The answers and exits of all
           variants are compared first; where they differ, no time is reported.
Hardware:  the CPU, or a GPU by --device cuda.
Duration:  on 2 cores about 10 minutes for 128 sentences of SST-2.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import warnings
from pathlib import Path

import torch

import fairseq_palbert.plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
from fairseq_palbert import command
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.split import load_split
from fairseq_palbert.exits.base import Decisions, ExitRule
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.rules.fixed import Fixed
from fairseq_palbert.files import staged, write_json
from fairseq_palbert.inference.flags import device_of
from fairseq_palbert.inference.for_inference import FLOATS
from fairseq_palbert.modules.pondering import POOLINGS, PonderingClassifier
from fairseq_palbert.tasks.sentence_task import SentenceConfig, SentenceTask
from recipes import command_line

from .drawn import Drawn, Replayed
from .hub import HubModel, onnx_session
from .measures import heads_part, operations, peak_flops, seconds_of, seconds_to_read_heads
from .ours import random_network, ready, with_pooling
from .page import plot, tables
from .stock import misfit, stock_roberta
from .targets import targets
from .variants import Sentences, Variant, by_pooling, exiting, full_depth, ours, packed_name

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.02, "int8": 0.2}
PAYS_WITH = {"bfloat16": "avx512_bf16", "int8": "avx512_vnni"}  # CPU instructions that make the dtype fast


def parser() -> argparse.ArgumentParser:
    options = command_line.parser("benchmark.sh", __doc__)
    add = options.add_argument
    add("--data", required=True, type=Path, help="folder of the binarized task to take sentences from")
    add("--split", default="valid", help="split to take sentences from (default: valid)")
    add("--sentences", type=int, default=128, help="how many sentences, from the start of the split (default: 128)")
    add("--checkpoint", type=Path,
        help="a trained model: a checkpoint of fairseq-train, or an exported model's folder (default: a RoBERTa of "
             "random weights)")
    add("--layers", type=int, help="layers of the model of random weights (default: 12)")
    add("--hidden", type=int, help="hidden size of the model of random weights, a multiple of 64 (default: 768)")
    exits = options.add_mutually_exclusive_group()
    exits.add_argument("--exit", help="exit rule (default for a checkpoint: q_exit:0.5)")
    exits.add_argument("--drawn", type=float, metavar="MEAN",
                       help="draw exits from a geometric distribution with this mean, not by the model (default for "
                            "random weights: a mean of about half of the layers)")
    add("--rounds", type=int, default=5, help="timed runs of each variant (default: 5)")
    add("--device", default="cpu", help="device, as torch names it (default: %(default)s)")
    add("--dtype", default="float32", choices=FLOATS)
    add("--out", required=True, type=Path, help="folder for benchmark.json, benchmark.md and benchmark.png")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    check(options)
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    device = device_of(options.device)
    network, family, task = read_model(options)
    rule = rule_of(options, network)
    sentences = Sentences(load_split(task, options.split).sentences[:options.sentences], device)
    with staged(options.out) as folder, tempfile.TemporaryDirectory() as scratch:
        measured = run(options, network, family, rule, sentences, Path(scratch))
        write_json(folder / "benchmark.json", measured)
        (folder / "benchmark.md").write_text(tables(measured), encoding="utf-8")
        plot(folder / "benchmark.png", measured)
    print(tables(measured))


def check(options: argparse.Namespace) -> None:
    for name, least, default in (("sentences", 1, None), ("rounds", 1, None), ("layers", 2, 12), ("hidden", 64, 768)):
        given = getattr(options, name)
        if default and given and options.checkpoint:
            raise UserError(f"--{name} {given}: only for random weights; leave it out with --checkpoint")
        if given is None:
            setattr(options, name, default)
        elif given < least:
            raise UserError(f"--{name} {given}: at least {least}")
    if options.hidden % 64:
        raise UserError(f"--hidden {options.hidden}: a multiple of 64, the units of a head")


def read_model(options: argparse.Namespace) -> tuple[PonderingClassifier, str, SentenceTask]:
    """The network, its family, and its task with the data."""
    if options.checkpoint:
        model = load_model(options.checkpoint, str(options.data), None)
        return model.network.requires_grad_(False), model.family, model.task
    task = SentenceTask.setup_task(SentenceConfig(data=str(options.data), glue_task=options.data.name,
                                                  max_positions=512))
    return random_network(len(task.source_dictionary), options.layers, options.hidden,
                          task.definition.outputs), "roberta", task


def rule_of(options: argparse.Namespace, network: PonderingClassifier) -> ExitRule:
    if options.drawn is not None:
        rule = Drawn.of_mean(options.drawn, network.depth)
    elif options.exit or options.checkpoint:
        rule = parse_rule(options.exit or "q_exit:0.5")
    else:
        rule = Drawn(round(1.68 / network.depth, 4), network.depth)
    if not isinstance(rule, ExitRule):
        raise rule.refuse("it never exits early, and this benchmark times early exits: choose another")
    rule.check(network)
    return rule


def run(options: argparse.Namespace, network: PonderingClassifier, family: str, rule: ExitRule, sentences: Sentences,
        scratch: Path) -> dict:
    """All measurements, as benchmark.json has them."""
    dtype, device = FLOATS[options.dtype], sentences.device
    hub_model, reason = HubModel(network, family, scratch).eval(), misfit(network, family)
    stock_model = None if reason else stock_roberta(network)
    on_cpu = device.type == "cpu" and options.dtype == "float32"
    session = onnx_session(hub_model, scratch, torch.get_num_threads()) if on_cpu else None
    by_pooling_engines = {pooling: ready(with_pooling(network, pooling), options.dtype, device) for pooling in POOLINGS}
    engine = by_pooling_engines[network.heads_shape.pooling]
    for model in (network, hub_model, stock_model):
        if model is not None:
            model.to(device, dtype)
    last = Fixed(network.depth)
    full = full_depth(network, hub_model, stock_model, session, engine, sentences)
    exits = rule
    if options.dtype != "float32":  # rounding, which differs among the programs, moves exits near the threshold
        exits = Replayed(rule, ours(engine, sentences, rule, None).exit_layers)
    early = exiting(network, hub_model, engine, sentences, exits)
    decided = check_same(full, options.dtype), check_same(early, options.dtype)
    left_out = [f"(a) is left out: {reason}."] if reason else []
    lower = lower_precisions(network, sentences, last) if on_cpu else {}
    for precision in list(lower):
        if other := difference(lower[precision](), decided[0], precision):
            left_out.append(f"{precision} is left out: its answers are not float32's: {other}.")
            del lower[precision]
    poolings = by_pooling(by_pooling_engines, sentences, Replayed(rule, decided[1].exit_layers))
    for variant in poolings.values():
        variant()  # warms it up; not compared, since the other pooling has other answers
    variants = full | early | {packed_name(precision): variant for precision, variant in lower.items()} | poolings
    peaks, taken = [], {name: [] for name in variants}
    for number in range(options.rounds):
        peaks.append(peak_flops([network, engine], device, dtype))
        names = list(taken)
        for name in names[number % len(names):] + names[:number % len(names)]:
            taken[name].append(seconds_of(variants[name], device))
            print(f"round {number + 1} of {options.rounds}: {name}: {taken[name][-1]:.2f} s", file=sys.stderr)
    full_operations, _ = operations(network, sentences, last, decided[0])
    early_operations, heads_operations = operations(network, sentences, rule, decided[1])
    exit_layers = decided[1].exit_layers.double()
    measured = {
        "split": f"{options.data.name} {options.split}",
        "sentences": len(sentences.tokens), "tokens": sum(map(len, sentences.tokens)),
        "padding_ratio": {"file order": sentences.padding_ratio(False), "by length": sentences.padding_ratio(True)},
        "family": family, "checkpoint": None if options.checkpoint is None else options.checkpoint.name,
        "pooling": network.heads_shape.pooling, "left_out": left_out,
        "depth": network.depth, "hidden": network.encoder.shape.hidden, "rule": rule.spec,
        "mean_exit": float(exit_layers.mean()), "sd_exit": float(exit_layers.std(correction=0)),
        "operations": {"full": full_operations, "exiting": early_operations},
        "peak_flops": statistics.median(peaks),
        "seconds": taken, "median_seconds": {name: statistics.median(times) for name, times in taken.items()},
        "device": torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(), "dtype": options.dtype, "torch": torch.__version__,
        "rounds": options.rounds,
    }
    if device.type == "cpu":
        packed, _ = heads_part(engine, sentences, rule, None)
        _, alone = heads_part(engine, sentences, rule, 1)
        measured["heads"] = {"part_of_operations": heads_operations, "part_of_seconds_packed": packed,
                             "seconds_a_layer_at_batch_1": alone,
                             "seconds_to_read_their_weights": seconds_to_read_heads(network)}
    return measured | {"targets": targets(measured)}


def lower_precisions(network: PonderingClassifier, sentences: Sentences, rule: ExitRule) -> dict[str, Variant]:
    """This engine in every dtype that this CPU has instructions for, by dtype."""
    engines = {dtype: ready(network, dtype, sentences.device) for dtype, needed in PAYS_WITH.items()
               if torch.cpu.get_capabilities().get(needed)}
    return {dtype: lambda engine=engine: ours(engine, sentences, rule, None) for dtype, engine in engines.items()}


def check_same(variants: dict[str, Variant], dtype: str) -> Decisions:
    """Run every variant once, which warms it up; return the decisions of the first.

    Raises UserError where a variant disagrees with the first.
    """
    reference = None
    for name, variant in variants.items():
        decided = variant()
        reference = reference or decided
        if other := difference(decided, reference, dtype):
            raise UserError(f"{name} does not answer as the others: {other}: no time is reported")
    return reference


def difference(decided: Decisions, reference: Decisions, dtype: str) -> str | None:
    """How the decisions differ, None where they are the same.

    Exit layers have to be equal. Outputs may differ by the tolerance, or by the tolerance times the largest output if
    that is above 1.
    """
    furthest = float((decided.outputs - reference.outputs).abs().max())
    differ = int(decided.exit_layers.ne(reference.exit_layers).sum())
    if differ or not furthest <= TOLERANCE[dtype] * max(1.0, float(reference.outputs.abs().max())):
        return f"{differ} exit layers differ, and outputs by up to {furthest:.2g}"
    return None


if __name__ == "__main__":
    command.run(main)
