"""PonderNet, ACT and a recurrent network of fixed steps on parity: is the number of ones in a vector odd?

Trains each by fairseq-train over seeds, on interpolation (as many entries that are not 0 in test as in train) and
extrapolation (train 1..P/2, test P/2+1..P), and over values of λ_p and τ; then draws the figures of PonderNet's paper
(arXiv 2107.05407, section 3.1).

    recipes/parity.sh                 # trains, scores, draws; run it again to go on where it ended
    recipes/parity.sh --estimate      # measures the rate of updates, and prints how long all runs take
    recipes/parity.sh --draw FOLDER   # draws again, from FOLDER/curves.jsonl

Variables: SIZE (default: P = 8, N = 10; paper: P = 64 and 96, N = 20), RUN_DIR (default: runs/parity/SIZE), JOBS (runs
           at once; default: the number of cores), OMP_NUM_THREADS (threads of a run; default 1).
Outputs:   RUN_DIR/METHOD/SETTING/seedS (run.json with flags, commit and versions; train.log, checkpoints, tensorboard,
           curves.json; of PonderNet and fixed steps scores/test by exit rules, with the record for palbert sweep), and
           RUN_DIR/results: README.md, curves.jsonl, training.svg, compute.svg, sensitivity.svg, spread.svg.
Hardware:  the CPU.
Duration:  49 runs of the default size take about 13 minutes on 2 idle cores. The paper's size prints its own.
Expected:  PonderNet at 99 % or more on interpolation in at least 4 of 5 seeds.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import fairseq_palbert.plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
from fairseq_palbert.command import run as run_command
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation import cli as evaluation
from fairseq_palbert.experiment.log import log
from fairseq_palbert.files import locked, make_folder, read_text, staged, write_json_lines
from fairseq_palbert.json_files import read_json
from fairseq_palbert.scores_file import SCORES_FILE
from recipes import command_line

from .curves_file import CURVES_FILE, MADE, read_curves
from .figures import Curves, draw
from .page import page
from .plan import SETTINGS, SIZES, Run, Size, figure_1, plan
from .training import CURVES, train_all

RUNS = Path(__file__).resolve().parents[2] / "runs" / "parity"
RATE_UPDATES, RATE_INTERVALS = 50, 3


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake, and where a run fails; argparse's own errors exit with 2."""
    options = command_line.parser("parity.sh", __doc__)
    options.add_argument("--estimate", action="store_true", help="print how long all runs take, and stop")
    options.add_argument("--draw", type=Path, metavar="FOLDER", help="draw again, from FOLDER/curves.jsonl")
    flags = options.parse_args(argv)
    if flags.draw:
        write_results(flags.draw, read_curves(flags.draw / CURVES_FILE))
        return
    name = os.environ.get("SIZE") or "default"
    if name not in SIZES:
        raise UserError(f"SIZE={name}: choose from {', '.join(SIZES)}")
    size, jobs = SIZES[name], command_line.whole_number("JOBS", len(os.sched_getaffinity(0)))
    folder = make_folder(Path(os.environ.get("RUN_DIR") or RUNS / name).absolute())
    with locked(folder):
        if flags.estimate or name == "paper":
            estimate(size, folder, jobs)
        if not flags.estimate:
            experiment(size, folder, jobs)


def estimate(size: Size, folder: Path, jobs: int) -> None:
    """Trains PonderNet for a few updates, and prints how long all runs take at that rate."""
    short = replace(size, interval=RATE_UPDATES, updates=RATE_UPDATES * RATE_INTERVALS)
    run, runs = next(figure_1(size)), plan(size)
    train_all([run], short, folder / "rate", jobs=1)
    rate = read_json(folder / "rate" / run.folder / CURVES, MADE)["rate"]
    hours = len(runs) * size.updates / rate / jobs / 3600
    print(f"{len(runs)} runs of {size.updates} updates, {jobs} at once: about {hours:.1f} hours at the {rate:.1f} "
          "updates a second that one run made here")


def experiment(size: Size, folder: Path, jobs: int) -> None:
    """Trains and scores all runs, and draws them."""
    runs = plan(size)
    train_all(runs, size, folder, jobs)
    for run in figure_1(size):
        if run.method != "ACT":
            score(run, size, folder / run.folder)
    about = {"size": size.name, "steps": size.steps, "batch": size.batch}
    write_results(folder / "results", [
        {**read_json(folder / run.folder / CURVES, MADE), **about,
         "vector_size": size.vector_sizes[SETTINGS.index(run.setting)]} for run in runs])


def score(run: Run, size: Size, folder: Path) -> None:
    """Scores the last checkpoint of a run on test by exit rules, once."""
    out = folder / "scores" / "test"  # where palbert report looks
    if (out / SCORES_FILE).is_file():
        return
    halting = ["q_exit:0.5", "sampling:1", "expectation"] if run.method == "PonderNet" else []
    rules = [*halting, f"fixed:{size.steps}"]
    with open(folder / "scores.log", "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        evaluation.main([str(folder / "checkpoints" / "checkpoint_last.pt"), "--split", "test", "--record", "--out",
                         str(out), *(f"--exit={rule}" for rule in rules)])


def write_results(folder: Path, runs: list[Curves]) -> None:
    """Writes curves, plots and page to the folder; what a REMARKS.md there says stands after the table."""
    remarks = folder / "REMARKS.md"
    said = read_text(remarks, "remove it") if remarks.is_file() else ""
    with staged(folder) as scratch:
        write_json_lines(scratch / CURVES_FILE, runs)
        draw(scratch, runs)
        (scratch / "README.md").write_text(page(runs, said), encoding="utf-8")
    log(f"results: {folder}")


if __name__ == "__main__":
    run_command(main)
