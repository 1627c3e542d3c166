"""Reports on recorded runs: OUT/report.html, OUT/README.md and its plots; the command of recipes/report.sh.

OUT/front.md and OUT/front.svg are the report's first table and plot: every method at the threshold for N/2 layers.

    recipes/report.sh RUN... --out OUT [--glue-dir RAW] [--remarks FILE] [--split valid] [--resamples 1000]

RUN is a file of recipes/keep_results.sh, or METHOD/TASK, with seed*/scores/SPLIT/{scores.jsonl,record.safetensors} below it. Thresholds are chosen on the record of
the split "calibration" of the same checkpoint, beside that of SPLIT; a run without one stands at the settings it was scored
with. Claims are made of methods named palbert* and *_staged, against static(N/2) and vanilla, where those are given.
"""

import argparse
import os
import shlex
from pathlib import Path

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import staged
from fairseq_palbert.glue.definitions import glue_task
from fairseq_palbert.report.page import write_report
from fairseq_palbert.report.runs import Run, read_runs
from preprocess.raw import Example, read_examples

ROOT = Path(__file__).resolve().parent.parent


def texts(tasks: dict[str, list[Run]], raw: Path) -> dict[str, list[tuple[str, ...]]]:
    """The sentences of every row of each task's split. Raises UserError where the raw file is another one."""
    found = {}
    for name, (run, *_) in tasks.items():
        task, recorded = glue_task(name), run.recorded
        rows = read_examples(task, task.split(recorded.split), raw)
        found[name] = [row.sentences for row in rows if isinstance(row, Example)]
        if len(found[name]) != recorded.rows:
            raise UserError(f"--glue-dir {raw}: {name} has {len(found[name])} rows of {recorded.split}, the record "
                            f"{recorded.rows}: give the data that was scored")
    return found


def read_remarks(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--remarks {path}: cannot be read ({error}): give a file of Markdown") from error


def command(options: argparse.Namespace) -> str:
    """As it is typed in the repository; what lies outside of it without its path there."""
    words = ["recipes/report.sh", *map(portable, options.runs), "--out", portable(options.out), "--split", options.split,
             "--resamples", str(options.resamples)]
    words += ["--remarks", portable(options.remarks)] if options.remarks else []
    return " ".join([*map(shlex.quote, words), *(["--glue-dir", "$GLUE_DIR"] if options.glue_dir else [])])


def portable(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else os.path.join("...", *path.parts[-2:])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="report.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--glue-dir", type=Path, metavar="RAW", help="raw GLUE: show the text of sentences")
    parser.add_argument("--remarks", type=Path, metavar="FILE", help="Markdown to put before the tasks: what to make of them")
    parser.add_argument("--split", default="valid", help="split that was scored (default: %(default)s)")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.resamples < 1:
        raise UserError(f"--resamples {options.resamples}: at least 1")
    remarks = read_remarks(options.remarks) if options.remarks else ""
    tasks = read_runs(options.runs, options.split)
    sentences = texts(tasks, options.glue_dir) if options.glue_dir else {}
    with staged(options.out) as folder:
        write_report(folder, tasks, command(options), sentences, options.resamples, remarks)
    print(f"Written to {options.out}")


if __name__ == "__main__":
    main()
