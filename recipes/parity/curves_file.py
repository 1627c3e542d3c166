"""Read ``curves.jsonl``, the curves of all runs."""

from pathlib import Path

from fairseq_palbert.errors import UserError
from fairseq_palbert.json_files import read_json_lines
from fairseq_palbert.numbers_from_text import LARGEST_SEED
from fairseq_palbert.schema import check_fields, choice, integer, list_of, number, object_of, optional, text

from .figures import BASE, SWEEPS, Curves, base_runs, sweep
from .plan import METHODS, SETTINGS

CURVES_FILE = "curves.jsonl"
MADE = "make it again with recipes/parity.sh"
MOST = 10**9
LONGEST = 10**5  # values of a curve
SPLIT = object_of({"accuracy": list_of(number(0, 1), 1, LONGEST), "steps": list_of(number(0, MOST), 1, LONGEST)})
KINDS = {
    "method": choice(*METHODS), "setting": choice(*SETTINGS), "value": optional(number(0, 1)),
    "seed": integer(0, LARGEST_SEED), "updates": list_of(integer(1, MOST), 1, LONGEST), "valid": SPLIT, "test": SPLIT,
    "rate": number(0, MOST), "size": text(100), "steps": integer(1, MOST), "batch": integer(1, MOST),
    "vector_size": integer(1, MOST),
}


def read_curves(path: Path) -> list[Curves]:
    """The runs of the file.

    Raises UserError for a field that is missing, of another type or out of range, curves that do not have a value an
    update, runs of other updates than the first, and runs that lack those of a method to be drawn.
    """
    runs = read_json_lines(path, MADE)
    for line, run in enumerate(runs, 1):
        try:
            _check(run, runs[0])
        except ValueError as error:
            raise UserError(f"{path}, line {line}: {error}: {MADE}") from error
    for method, *_ in SWEEPS:
        if not (base_runs(runs, method, SETTINGS[0]) and all(sweep(runs, method).values())):
            raise UserError(f"{path}: has no seed of {method} on {SETTINGS[0]} that every value has, {BASE[method]:g} "
                            f"among them: {MADE}")
    return runs


def _check(run: Curves, first: Curves) -> None:
    """Raises ValueError, whose message is a phrase."""
    check_fields(run, KINDS)
    if (run["value"] is None) != (BASE[run["method"]] is None):
        raise ValueError(f"value is {run['value']}, which {run['method']} cannot have")
    if run["updates"] != first["updates"]:
        raise ValueError("has other updates than line 1")
    for split in ("valid", "test"):
        for name, values in run[split].items():
            if len(values) != len(run["updates"]):
                raise ValueError(f"has {len(run['updates'])} updates and {len(values)} values of {split} {name}")
