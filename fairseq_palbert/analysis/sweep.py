"""``palbert sweep``: replay exit rules over their whole range from a record.

Writes sweep.jsonl to ``--out``, one object a rule and threshold, with the fields of scores.jsonl that need no clock.
For a split with labels it also writes analysis.json: score, operations and calibration of each layer, the oracle,
overthinking, and the posterior's entropy. For each rule's curve over operations it has the area, and the advantage over
the static exits.
"""

import argparse
import sys
from pathlib import Path

from ..command import run
from ..errors import UserError
from ..exits.base import Decisions, Rule
from ..exits.registry import RULES
from ..exits.replay import replay
from ..exits.rules.fixed import Fixed
from ..files import staged, write_json, write_json_lines
from ..numbers_from_text import check_range, integer
from ..tables import aligned
from .describe import describe
from .measures import curve_area, exit_calibration, oracle, overthinking, posterior_entropy, static_advantage
from .recorded_split import RecordedSplit, read_record
from .tensorboard import write_curves

MOST_POINTS = 10_000
ANALYSIS_FILE = "analysis.json"


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="palbert sweep",
        description="Replays exit rules from a record, each over its whole range.",
        epilog="Example: palbert sweep scores/record.safetensors --rule q_exit --rule patience --out sweep")
    add = options.add_argument
    add("record", type=Path, help="record.safetensors of palbert evaluate --record")
    add("--rule", action="append", dest="rules", choices=RULES, metavar="NAME",
        help=f"exit rule, any number of times (default: all that fit the model): {', '.join(RULES)}")
    add("--points", type=integer, default=100, help="approximate number of thresholds a rule (default: 100)")
    add("--out", required=True, type=Path, help="folder for sweep.jsonl")
    add("--tensorboard-logdir", type=Path, help="write the curves there for TensorBoard, under sweep_SPLIT")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    check_range("--points", options.points, 1, MOST_POINTS)
    recorded = read_record(options.record)
    rules = fitting_rules(recorded, options.rules or list(RULES), options.points)
    with staged(options.out, sometimes=(ANALYSIS_FILE,)) as folder:
        rows = [describe(recorded, rule, decisions(recorded, rule)) for rule in rules]
        write_json_lines(folder / "sweep.jsonl", rows)
        if recorded.targets is not None:
            write_json(folder / ANALYSIS_FILE, analyse(recorded, rows))
            if options.tensorboard_logdir:
                write_curves(options.tensorboard_logdir / f"sweep_{recorded.split}", rows)
    remarks = [] if recorded.targets is not None else ["This split has no labels: depths only, no metrics."]
    print(f"{recorded.task.name}, {recorded.split}: {len(recorded.ids)} examples", *remarks, curve_table(rows),
          f"Written to {options.out}", sep="\n\n")


def decisions(recorded: RecordedSplit, rule: Rule) -> Decisions:
    return replay(rule, recorded.recording, recorded.ids)


def fitting_rules(recorded: RecordedSplit, names: list[str], points: int) -> list[Rule]:
    """The rules of these names that fit the model, each at about ``points`` thresholds.

    A rule that does not fit is named on stderr. Raises UserError where none fits, and for one that is named twice.
    """
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UserError(f"exit rule {twice[0]} is given twice: name each rule once")
    misfits = {name: reason for name in names if (reason := RULES[name].misfit(recorded))}
    if len(misfits) == len(names):
        fitting = [name for name, rule in RULES.items() if not rule.misfit(recorded)]
        raise UserError(f"{'; '.join(f'{name}: {reason}' for name, reason in misfits.items())}: choose from "
                        f"{', '.join(fitting)}")
    for name, reason in misfits.items():
        print(f"{name} is left out: {reason}", file=sys.stderr)
    return [rule for name in names if name not in misfits for rule in RULES[name].sweep(recorded.recording, points)]


def analyse(recorded: RecordedSplit, rows: list[dict]) -> dict:
    """The contents of analysis.json, for a split with labels; ``rows`` are those of sweep.jsonl."""
    static = [describe(recorded, rule, decisions(recorded, rule))
              for rule in (Fixed(n + 1) for n in range(recorded.depth))]
    static_costs, static_scores = _curve(static)
    calibration = exit_calibration(recorded) or [{}] * recorded.depth
    curves = {name: _curve([row for row in rows if row["rule"] == name])
              for name in dict.fromkeys(row["rule"] for row in rows)}
    return {
        "layers": [{"score": score, "mean_flops": cost, **calibrated}
                   for score, cost, calibrated in zip(static_scores, static_costs, calibration)],
        "oracle": vars(oracle(recorded)),
        **overthinking(recorded),
        "posterior_entropy": posterior_entropy(recorded),
        "curves": {name: {"area": float(curve_area(*curve, static_costs[0], static_costs[-1])),
                          "static_advantage": static_advantage(*curve, static_costs, static_scores)}
                   for name, curve in curves.items()},
    }


def _curve(rows: list[dict]) -> tuple[list[float], list[float]]:
    """mean_flops and official score of each row."""
    return [row["mean_flops"] for row in rows], [row["metrics"]["score"] for row in rows]


def curve_table(rows: list[dict]) -> str:
    """One line a rule: its points, their range of depths, and the best score with its depth."""
    table = [["exit rule", "points", "mean exit from", "to", "best score", "at mean exit"]]
    for name in dict.fromkeys(row["rule"] for row in rows):
        curve = [row for row in rows if row["rule"] == name]
        depths = [row["mean_exit"] for row in curve]
        best = max(curve, key=lambda row: (row["metrics"].get("score", 0), -row["mean_exit"]))
        score = f"{best['metrics']['score']:.4f}" if best["metrics"] else "-"
        table.append([name, str(len(curve)), f"{min(depths):.2f}", f"{max(depths):.2f}", score,
                      f"{best['mean_exit']:.2f}"])
    return aligned(table)


if __name__ == "__main__":
    run(main)
