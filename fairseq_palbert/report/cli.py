"""``palbert report``: compare recorded runs in tables and plots, as HTML and Markdown.

Writes to ``--out``: report.html, README.md and its plots, COMMANDS.md, and front.md and front.svg, the report's first
table and plot.

Thresholds are chosen on the record of the split "calibration" of the same checkpoint. A run without that record is
shown at the settings it was scored with. Claims are made of methods named palbert* and *_staged.
"""

import argparse
import os
from pathlib import Path

from ..analysis.bootstrap import MOST_RESAMPLES
from ..command_file import typed
from ..errors import UserError
from ..files import read_text, staged
from ..numbers_from_text import check_range, integer
from ..raw.examples import Example, read_examples
from .escaping import check_remarks
from .keep import ROOT
from .page import MARKDOWN, TITLE, write_report
from .runs import Run, read_runs

REMEDY = "choose another --out"


def texts(tasks: dict[str, list[Run]], raw: Path) -> dict[str, list[tuple[str, ...]]]:
    """The sentences of every row of each task's split. Raises UserError where the raw file has other rows."""
    by_task = {}
    for name, (run, *_) in tasks.items():
        recorded = run.recorded
        rows = read_examples(recorded.task, recorded.task.split(recorded.split), raw)
        by_task[name] = [row.sentences for row in rows if isinstance(row, Example)]
        if len(by_task[name]) != recorded.rows:
            raise UserError(f"--glue-dir {raw}: {name} has {len(by_task[name])} rows of {recorded.split}, the record "
                            f"{recorded.rows}: give the data that was scored")
    return by_task


def of_tasks(tasks: dict[str, list[Run]], names: list[str]) -> dict[str, list[Run]]:
    """The tasks with these names, in their order. Raises UserError for one that no run is of."""
    if unknown := [name for name in names if name not in tasks]:
        raise UserError(f"--tasks {' '.join(unknown)}: no run is of it: choose from {', '.join(tasks)}")
    return {name: tasks[name] for name in names}


def read_remarks(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        check_remarks(text)
    except (OSError, ValueError) as error:
        raise UserError(f"--remarks {path}: cannot be used ({error}): give a file of Markdown without images and "
                        "HTML") from error
    return text


def check_out(out: Path) -> None:
    """Raises UserError where ``out`` has a page of another origin, such as a repository's, which would be lost."""
    page = out / MARKDOWN
    if page.exists() and read_text(page, REMEDY).partition("\n")[0] != TITLE:
        raise UserError(f"{page}: is no page of palbert report, and would be lost: {REMEDY}")


def command(options: argparse.Namespace) -> str:
    """The command as it is typed in the repository; paths outside of it are shortened."""
    words = ["palbert", "report", *map(portable, options.runs), "--out", portable(options.out),
             "--split", options.split, "--resamples", str(options.resamples)]
    words += ["--tasks", *options.tasks] if options.tasks else []
    words += ["--remarks", portable(options.remarks)] if options.remarks else []
    return typed([*words, *(["--glue-dir", "$GLUE_DIR"] if options.glue_dir else [])])


def portable(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else os.path.join("...", *path.parts[-2:])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="palbert report",
        description="Compares early-exit methods. Writes OUT/report.html, a single file, and OUT/README.md with its "
                    "plots.",
        epilog="Example: palbert report runs/palbert/MRPC runs/pabee/MRPC runs/vanilla/MRPC --out report")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN",
                        help="a file of palbert keep, or METHOD/TASK with "
                             "seed*/scores/SPLIT/{scores.jsonl,record.safetensors}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="tasks to report (default: all that the runs have)")
    parser.add_argument("--glue-dir", type=Path, metavar="RAW", help="raw GLUE, to show the text of sentences")
    parser.add_argument("--remarks", type=Path, metavar="FILE",
                        help="Markdown file with remarks on the results, placed before the tasks")
    parser.add_argument("--split", default="valid", help="split that was scored (default: %(default)s)")
    parser.add_argument("--resamples", type=integer, default=1000, help="bootstrap resamples (default: %(default)s)")
    options = parser.parse_args(arguments)
    check_range("--resamples", options.resamples, 1, MOST_RESAMPLES)
    check_out(options.out)
    remarks = read_remarks(options.remarks) if options.remarks else ""
    tasks = read_runs(options.runs, options.split)
    if options.tasks:
        tasks = of_tasks(tasks, options.tasks)
    sentences = texts(tasks, options.glue_dir) if options.glue_dir else {}
    with staged(options.out) as folder:
        write_report(folder, tasks, command(options), sentences, options.resamples, remarks)
    print(f"Written to {options.out}")
