"""Preprocessing of raw GLUE: this project's command against fairseq's own script, in turn.

    GLUE_DIR=... VOCAB_DIR=... recipes/benchmark_preprocess.sh [TASK]

fairseq's preprocess_GLUE_tasks.sh is the installed one, with line ends of LF, WORKERS for its 60 workers, and without
its downloads. It runs in a temporary folder.

Inputs:    GLUE_DIR/TASK and VOCAB_DIR/gpt2_bpe.
Variables: WORKERS (default: the number of cores), for both; REPEATS (default: 3).
Outputs:   the seconds of every run, both medians and their ratio on stdout. It fails where the two write other .bin or
           .idx files of the sentences.
Hardware:  the CPU.
Duration:  about 40 seconds a repeat on 2 cores (SST-2).
Expected:  a ratio above 2 (measured: SST-2 4.45).
"""

import filecmp
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from recipes.command_line import folder_with, glue_folder, parser, whole_number

TASKS = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE")  # that fairseq's script has
VOCABULARY = ("encoder.json", "vocab.bpe", "dict.txt")


class Theirs:
    """fairseq's script, in a folder with what it expects there: its examples, the vocabulary, and the raw data, beside
    which it writes. Its wget does nothing."""

    def __init__(self, work: Path, task: str, raw: Path, vocabulary: Path, workers: int):
        self.work, self.output = work, work / f"{task}-bin"
        examples = Path(importlib.util.find_spec("fairseq").origin).with_name("examples")
        (work / "bin").mkdir(parents=True)
        (work / "examples").symlink_to(examples)
        for file in VOCABULARY:
            shutil.copy(vocabulary / file, work)
        (work / "raw" / task).mkdir(parents=True)
        for file in raw.iterdir():
            if file.is_file():
                shutil.copyfile(file, work / "raw" / task / file.name)
        (work / "bin" / "wget").write_text("#!/bin/sh\n", encoding="utf-8")
        (work / "bin" / "wget").chmod(0o755)
        script = (examples / "roberta" / "preprocess_GLUE_tasks.sh").read_text(encoding="utf-8")  # with any line ends
        (work / "script.sh").write_text(script.replace("--workers 60", f"--workers {workers}"), encoding="utf-8")
        self.command = ["bash", "script.sh", "raw", task]
        # its modules are those of the folder
        self.variables = {"PATH": os.pathsep.join([str(work / "bin"), str(Path(sys.executable).parent),
                                                   os.environ["PATH"]]), "PYTHONSAFEPATH": ""}


class Ours:
    """``python -m preprocess.data``."""

    def __init__(self, work: Path, task: str, raw: Path, vocabulary: Path, workers: int):
        work.mkdir()
        self.work, self.output, self.variables = work, work / task, {}
        self.command = launch.python("preprocess.data", "--task", task, "--raw", raw.parent, "--vocab", vocabulary,
                                     "--out", work, "--workers", str(workers))


def seconds_of(side: Theirs | Ours) -> float:
    """Raises UserError where the command fails, after its output."""
    shutil.rmtree(side.output, ignore_errors=True)
    start = time.perf_counter()
    ended = subprocess.run(side.command, cwd=side.work, env={**os.environ, **side.variables},
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    seconds = time.perf_counter() - start
    if ended.returncode:
        sys.stderr.buffer.write(ended.stdout)
        raise UserError(f"{' '.join(side.command)} ended with status {ended.returncode}, see above")
    return seconds


def compare(ours: Path, theirs: Path) -> None:
    """Raises UserError where the sentences are not the same files."""
    files = [file.relative_to(ours) for part in ours.glob("input*") for file in part.iterdir()
             if file.suffix in (".bin", ".idx")]
    differing = [str(file) for file in files
                 if not (theirs / file).is_file() or not filecmp.cmp(ours / file, theirs / file, shallow=False)]
    if differing or not files:
        raise UserError(f"the two do not make the same data of {ours.name}: {', '.join(differing) or 'no files'}")


def main(argv: list[str] | None = None) -> None:
    options = parser("benchmark_preprocess.sh", __doc__)
    options.add_argument("task", nargs="?", default="SST-2", choices=TASKS, metavar="TASK",
                         help=f"{', '.join(TASKS)} (default: %(default)s)")
    task = options.parse_args(argv).task
    raw = glue_folder(f"{task}/train.tsv") / task
    vocabulary = folder_with("gpt2_bpe/dict.txt", "VOCAB_DIR", "the folder of gpt2_bpe/") / "gpt2_bpe"
    workers, repeats = whole_number("WORKERS", len(os.sched_getaffinity(0))), whole_number("REPEATS", 3)
    with TemporaryDirectory() as work:
        sides = {side.__name__.lower(): side(Path(work, side.__name__), task, raw, vocabulary, workers)
                 for side in (Theirs, Ours)}
        taken = {name: [] for name in sides}
        for _ in range(repeats):
            for name, side in sides.items():
                taken[name].append(seconds_of(side))
                print(f"{name} {taken[name][-1]:.2f}", flush=True)
        compare(sides["ours"].output, sides["theirs"].output)
    theirs, ours = (statistics.median(taken[name]) for name in sides)
    print(f"{task}, {workers} workers, median of {repeats}: fairseq {theirs:.2f} s, ours {ours:.2f} s, "
          f"ratio {theirs / ours:.2f}")


if __name__ == "__main__":
    run(main)
