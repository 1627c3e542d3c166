"""``palbert data``: convert a task's raw files to fairseq binarized data."""

import argparse
import os
import sys
from pathlib import Path

from fairseq_palbert.binarized_files import PROVENANCE_FILE
from fairseq_palbert.command import run
from fairseq_palbert.definitions.definition import Split, TaskDefinition
from fairseq_palbert.definitions.packaged import find_task, packaged, task_names
from fairseq_palbert.errors import UserError
from fairseq_palbert.files import check_replaceable, written_folder
from fairseq_palbert.numbers_from_text import check_range, integer
from fairseq_palbert.raw.files import raw_folder
from fairseq_palbert.tokenization import Vocabulary

from .binarize import REJECTED_FILE, SplitReport, binarize
from .download import download_task

MOST_WORKERS = 1024
NAMED_LINES = 5  # rejected lines that a warning names; rejected.tsv lists all


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="palbert data",
        description="Convert a task's raw files to fairseq binarized data. OUT/TASK has the layout of fairseq's own "
                    "GLUE script, input0/, input1/ (pairs) and label/, and glue.json, which records task, tokenizer "
                    "and row counts.",
        epilog="Example: palbert data RTE CoLA --raw glue --vocab vocab --out data writes data/RTE and data/CoLA; "
               "palbert data tickets.toml --vocab vocab --out data reads the files that tickets.toml names.")
    parser.add_argument("tasks", nargs="*", default=[], metavar="TASK",
                        help=f"your own task file (TOML), or a task: {', '.join(packaged())}")
    parser.add_argument("--task", action="append", default=[], metavar="NAME",
                        help="the same, may be repeated; GLUE (or all) or SuperGLUE for all tasks of the benchmark")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write the task folders to")
    parser.add_argument("--vocab", type=Path, default=os.environ.get("VOCAB_DIR") or None, metavar="DIR",
                        help="folder of the tokenizer: tokenizer.json, vocab.txt (BERT), spiece.model (ALBERT), "
                             "vocab.json and merges.txt, or encoder.json, vocab.bpe and dict.txt (RoBERTa), these also "
                             "in a folder gpt2_bpe (default: $VOCAB_DIR)")
    parser.add_argument("--raw", type=Path, metavar="DIR",
                        help="folder of GLUE's or SuperGLUE's task folders, such as RAW/RTE/train.tsv (default: "
                             "$GLUE_DIR, $SUPERGLUE_DIR; without either, tasks are downloaded to OUT/raw), or of the "
                             "files that a task file names (default: its own)")
    parser.add_argument("--split", action="append", metavar="NAME",
                        help="split, may be repeated: train, valid, valid1, test or test1 (default: all of the task)")
    parser.add_argument("--workers", type=integer, default=len(os.sched_getaffinity(0)), metavar="K",
                        help="threads of the tokenizer (default: %(default)s, the CPUs available)")
    parser.add_argument("--detokenize", action="store_true",
                        help="first remove the spaces around punctuation, as in CoLA and MRPC, by sacremoses")
    parser.add_argument("--keep-going", action="store_true",
                        help="skip malformed rows, and list them with their reasons in OUT/TASK/rejected.tsv")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT/TASK where this command made it before")
    return parser


def main(arguments: list[str] | None = None) -> None:
    args = _parser().parse_args(arguments)
    check_range("--workers", args.workers, 1, MOST_WORKERS)
    names = args.tasks + args.task
    if not names:
        raise UserError("name a task, or a task file")
    names = dict.fromkeys(name for given in names for name in task_names(given))
    tasks = {name: find_task(name) for name in names}
    _check_names(tasks)
    splits = [_splits(task, args.split) for task in tasks.values()]
    for task in tasks.values():
        check_replaceable(args.out / task.name, args.overwrite, PROVENANCE_FILE)
    if args.vocab is None:
        raise UserError("no vocabulary named: give --vocab or $VOCAB_DIR; "
                        "`python -m preprocess.download --vocab --out DIR` fetches RoBERTa's to DIR/gpt2_bpe")
    # the tokenizer reads these at its first use
    os.environ.update(TOKENIZERS_PARALLELISM="true", RAYON_NUM_THREADS=str(args.workers))
    vocabulary = Vocabulary(args.vocab, args.detokenize)
    for (name, task), chosen in zip(tasks.items(), splits):
        raw = args.raw or raw_folder(name, os.environ)
        if raw is None:
            raw = args.out / "raw"
            download_task(task, raw)
        with written_folder(args.out / task.name) as folder:
            reports = binarize(task, chosen, raw, vocabulary, folder, args.keep_going)
        for report in reports:
            _print(task, report)
        print(f"{task.name}: binarized data in {args.out / task.name}")


def _check_names(tasks: dict[str, TaskDefinition]) -> None:
    """Raises UserError for task files with the same ``name``, whose data would go to one folder."""
    given: dict[str, str] = {}
    for file, task in tasks.items():
        if (first := given.setdefault(task.name, file)) != file:
            raise UserError(f"{first} and {file} are both named {task.name}, and would be written to one folder: leave "
                            "one out, or rename it")


def _splits(task: TaskDefinition, names: list[str] | None) -> list[Split]:
    """The splits of these names in the order of the task table; for None all."""
    chosen = [task.split(name) for name in names or [split.name for split in task.splits]]
    return [split for split in task.splits if split in chosen]


def _print(task: TaskDefinition, report: SplitReport) -> None:
    """Prints the split's number of rows and groups, and a warning for missing, rejected and empty rows."""
    name = f"{task.name} {report.split.name}"
    counts = [("rows", report.rows, report.split.rows)]
    if task.groups:
        counts.append(("groups", len(report.groups), report.split.groups))
    counted = [f"{count} {what}{'' if official is None else f' (official: {official})'}"
               for what, count, official in counts]
    print(f"{name}: {', '.join(counted)}, {report.unknown} of {report.tokens} tokens unknown")
    warnings = [f"{count} {what}, but the official file has {official}"
                for what, count, official in counts if official not in (None, count)]
    if report.rejected:
        lines = ", ".join(str(row.line) for row in report.rejected[:NAMED_LINES])
        more = ", ..." * (len(report.rejected) > NAMED_LINES)
        warnings.append(f"malformed rows left out: {len(report.rejected)} (lines {lines}{more}), see {REJECTED_FILE}")
    if report.empty:
        warnings.append(f"rows kept although a sentence is empty: {report.empty}")
    for warning in warnings:
        print(f"warning: {name}: {warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
