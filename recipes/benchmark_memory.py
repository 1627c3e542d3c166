"""Peak memory of training, scoring and exporting base-sized models.

Each model starts from random weights, trains 20 updates on RTE with the usual batch and length, is scored, and is
exported in both forms.

    GLUE_DIR=raw VOCAB_DIR=vocab recipes/benchmark_memory.sh [ARCH ...]

Inputs:    GLUE_DIR/RTE; VOCAB_DIR with gpt2_bpe/, bert/ and albert/.
Variables: MAX_UPDATE (default 20), OMP_NUM_THREADS (default: the number of cores).
Outputs:   one JSON object a model on stdout: the seconds, and the peak resident memory of the largest process, in GiB.
Hardware:  the CPU.
Duration:  about 10 minutes a model on 2 cores.
Expected:  under 12 GiB.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.pretrained import Start, check_arch, find_vocabulary
from recipes.command_line import folder_with, glue_folder, parser, whole_number

GLUE_TASK = Path(__file__).with_name("glue_task.sh")
ARCHITECTURES = ("palbert_roberta_base", "palbert_bert_base", "palbert_albert_base")
EXPORTS = ("safetensors", "hugging-face")
KIB_PER_GIB = 2**20


def commands(vocabulary: Path, work: Path) -> list[list[str]]:
    checkpoint = work / "seed1" / "checkpoints" / "checkpoint_best.pt"
    exports = [launch.python("fairseq_palbert.checkpoints.convert", checkpoint, "--vocab", vocabulary, "--to", to,
                             "--out", work / to) for to in EXPORTS]
    return [[str(GLUE_TASK), "RTE"], *exports]


def peak_kib(command: list[str], variables: dict[str, str]) -> int:
    """The peak memory of the largest process that the command runs. Raises UserError where it fails."""
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise UserError(f"{' '.join(command)} ended with status {process.returncode}, see above")
    return usage.ru_maxrss


def measured(arch: str, vocab_dir: Path, updates: int) -> dict:
    with TemporaryDirectory() as folder:
        work, start = Path(folder), time.perf_counter()
        variables = {"ARCH": arch, "RUN_DIR": folder, "PRETRAINED": "none", "NUM_GPUS": "0", "MAX_UPDATE": str(updates)}
        vocabulary = find_vocabulary(Start(arch), str(vocab_dir), download=None)
        peak = max(peak_kib(command, variables) for command in commands(vocabulary, work))
        return {"arch": arch, "updates": updates, "seconds": round(time.perf_counter() - start, 1),
                "peak_gib": round(peak / KIB_PER_GIB, 2)}


def main(argv: list[str] | None = None) -> None:
    options = parser("benchmark_memory.sh", __doc__)
    options.add_argument("arch", nargs="*", default=ARCHITECTURES, help=f"default: {' '.join(ARCHITECTURES)}")
    architectures = options.parse_args(argv).arch
    for arch in architectures:
        check_arch(arch)
    glue_folder("RTE")
    vocab_dir = folder_with("", "VOCAB_DIR", "the folder of gpt2_bpe/, bert/ and albert/")
    updates = whole_number("MAX_UPDATE", 20)
    for arch in architectures:
        print(json.dumps(measured(arch, vocab_dir, updates)), flush=True)


if __name__ == "__main__":
    run(main)
