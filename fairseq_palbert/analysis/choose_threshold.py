"""``palbert thresholds``: choose each exit rule's threshold by a contract.

Thresholds are chosen on the calibration part of a recorded split, and reported on the other examples alone.

Writes thresholds.jsonl to ``--out``, one object a rule:

- ``exit``: the rule as ``--exit`` takes it. ``fallback``: whether no threshold of the rule keeps the contract.
- ``contract``: the flag's value, ``confidence``, ``risk_limit``, the limit on the mean loss, and ``guaranteed``, the
  guarantee in words.
- ``promised`` and ``reported``: the results on the calibration examples and on the others. They have the fields of
  scores.jsonl without the timings, ``drop``, how far the score is below layer N's, and ``risk``, the mean loss.

Without ``--confidence`` the contract is kept on the calibration examples alone, and nothing is guaranteed.
"""

import argparse
from pathlib import Path

import torch

from ..command import run
from ..definitions.definition import PARTS_OF_TRAIN
from ..errors import UserError
from ..exits.base import Rule
from ..exits.registry import RULES
from ..files import staged, write_json_lines
from ..numbers_from_text import LARGEST_SEED, check_range, finite_float, integer
from ..tables import aligned
from .contract import Budget, Contract, MaxDrop, choose, full_score, part_of, rows_of, two_parts
from .describe import describe
from .recorded_split import RecordedSplit, read_record
from .sweep import decisions


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(
        prog="palbert thresholds",
        description="Chooses exit rules' thresholds by a contract, and reports them on other examples.",
        epilog="Example: palbert thresholds scores/record.safetensors --max-drop 0.01 --confidence 0.95 --out "
               "thresholds")
    add = options.add_argument
    add("record", type=Path, help="record.safetensors of palbert evaluate --record, of a split with labels")
    contract = options.add_mutually_exclusive_group(required=True)
    contract.add_argument("--budget", type=finite_float, metavar="B", help="largest mean exit layer of at most B")
    contract.add_argument("--max-drop", type=finite_float, metavar="D",
                          help="lowest mean exit layer with an official score at most D below the last layer's; "
                               "0.01 is one point")
    add("--confidence", type=finite_float, metavar="C",
        help="guarantee with at least this probability, such as 0.95, a limit on the expected exit layer (--budget), "
             "or on the expected drop in accuracy, for regression the rise of the mean absolute error (--max-drop)")
    calibrate = options.add_mutually_exclusive_group()
    calibrate.add_argument("--calibration-fraction", type=finite_float, default=0.5, metavar="F",
                           help="part of the examples to choose thresholds on (default: 0.5)")
    calibrate.add_argument("--calibrate-on", type=Path, metavar="RECORD",
                           help="choose thresholds on this record of another split, which the model was not trained "
                                "on, and report on all of the first record")
    add("--seed", type=integer, default=0, help="seed of the shuffle that splits the examples (default: 0)")
    add("--rule", action="append", dest="rules", choices=RULES, metavar="NAME",
        help=f"exit rule, any number of times (default: all that fit the model): {', '.join(RULES)}")
    add("--out", required=True, type=Path, help="folder for thresholds.jsonl")
    return options


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser().parse_args(argv)
    contract = MaxDrop(options.max_drop) if options.budget is None else Budget(options.budget)
    if options.confidence is not None and not 0 < options.confidence < 1:
        raise UserError(f"--confidence {options.confidence:.15g}: a probability between 0 and 1, such as 0.95")
    check_range("--seed", options.seed, 0, LARGEST_SEED)
    calibration, reported = _parts(options)
    chosen = choose(contract, options.rules or list(RULES), calibration, options.confidence, options.seed)
    promise = None if options.confidence is None else contract.promise(calibration)
    described = {contract.name: contract.limit, "risk_limit": contract.risk_limit(calibration.depth),
            "confidence": options.confidence, "guaranteed": promise}
    rows = [{"rule": name, "exit": rule.spec, "fallback": rule.name != name, "contract": described,
             "promised": _measured(contract, calibration, rule), "reported": _measured(contract, reported, rule)}
            for name, rule in chosen.items()]
    with staged(options.out) as folder:
        write_json_lines(folder / "thresholds.jsonl", rows)
    print(f"{reported.task.name}: picked on {len(calibration.ids)} examples of {calibration.split}, reported on "
          f"{len(reported.ids)} others of {reported.split}", _remark(contract, options.confidence, promise),
          threshold_table(rows), f"Written to {options.out}", sep="\n\n")


def _parts(options: argparse.Namespace) -> tuple[RecordedSplit, RecordedSplit]:
    """The examples to choose thresholds on, and those to report on."""
    reported = _read_labelled(options.record)
    if options.calibrate_on is None:
        picked, others = two_parts(reported.units, options.calibration_fraction, options.seed)
        return part_of(reported, rows_of(reported, picked)), part_of(reported, rows_of(reported, others))
    calibration = _read_labelled(options.calibrate_on)
    if calibration.origin["checkpoint"]["sha256"] != reported.origin["checkpoint"]["sha256"]:
        raise UserError(f"--calibrate-on {options.calibrate_on}: of another checkpoint than {options.record}: record "
                        "both splits with one")
    if shared := _shared(calibration, reported):
        raise UserError(f"--calibrate-on {options.calibrate_on}: {shared} of its examples of {calibration.split} are "
                        f"also in {options.record}, of {reported.split}: what a threshold is picked on is not reported")
    return calibration, reported


def _shared(first: RecordedSplit, second: RecordedSplit) -> int:
    """How many rows of one file both have; parts of train have its rows."""
    files = ["train" if recorded.split in PARTS_OF_TRAIN else recorded.split for recorded in (first, second)]
    return int(torch.isin(first.ids, second.ids).sum()) if files[0] == files[1] else 0


def _read_labelled(path: Path) -> RecordedSplit:
    recorded = read_record(path)
    if recorded.targets is None:
        raise UserError(f"{path}: the split {recorded.split!r} has no labels to pick a threshold by: record one that "
                        "has")
    return recorded


def _measured(contract: Contract, recorded: RecordedSplit, rule: Rule) -> dict:
    decided = decisions(recorded, rule)
    row = describe(recorded, rule, decided)
    return {**row, "drop": full_score(recorded) - row["metrics"]["score"],
            "risk": float(contract.losses(recorded, decided).mean())}


def _remark(contract: Contract, confidence: float | None, promise: str | None) -> str:
    if promise is None:
        return f"{contract}, kept by the examples that the thresholds were picked on."
    return f"{contract}, and guaranteed for each rule with probability {confidence:.15g}: {promise}."


def threshold_table(rows: list[dict]) -> str:
    """One line a rule: score, drop and mean exit on the calibration examples, and on the others."""
    table = [["exit rule", "score promised", "reported", "drop promised", "reported", "mean exit promised", "reported"]]
    for row in rows:
        sides = row["promised"], row["reported"]
        table.append([f"{row['exit']} (no {row['rule']} keeps it)" if row["fallback"] else row["exit"],
                      *(f"{side['metrics']['score']:.4f}" for side in sides),
                      *(f"{side['drop']:+.4f}" for side in sides),
                      *(f"{side['mean_exit']:.2f}" for side in sides)])
    return aligned(table)


if __name__ == "__main__":
    run(main)
