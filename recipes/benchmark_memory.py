"""Measure time and memory of training, scoring and export: see benchmark_memory.sh."""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

RECIPES = Path(__file__).resolve().parent
VOCABULARIES = {"palbert_roberta": "gpt2_bpe", "palbert_bert": "bert", "palbert_albert": "albert"}
EXPORTS = ("safetensors", "hugging-face")
KIB_PER_GIB = 2**20


def commands(arch: str, work: Path) -> list[list[str]]:
    vocabulary = Path(os.environ["VOCAB_DIR"]) / VOCABULARIES["_".join(arch.split("_")[:2])]
    checkpoint = work / "seed1" / "checkpoints" / "checkpoint_best.pt"
    convert = [sys.executable, "-m", "fairseq_palbert.checkpoints.convert", str(checkpoint), "--vocab", str(vocabulary)]
    return [[str(RECIPES / "glue_task.sh"), "RTE"],
            *([*convert, "--to", to, "--out", str(work / to)] for to in EXPORTS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arch")
    parser.add_argument("--work", type=Path, required=True, help="run directory, which is kept")
    flags = parser.parse_args()
    environment = {**os.environ, "ARCH": flags.arch, "RUN_DIR": str(flags.work), "PRETRAINED": "none", "NUM_GPUS": "0"}
    start = time.perf_counter()
    for command in commands(flags.arch, flags.work):
        if status := subprocess.run(command, env=environment, stdout=sys.stderr).returncode:
            sys.exit(status)
    print(json.dumps({
        "arch": flags.arch,
        "updates": int(os.environ["MAX_UPDATE"]),
        "seconds": round(time.perf_counter() - start, 1),
        # of the largest child process
        "peak_gib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / KIB_PER_GIB, 2),
    }), flush=True)


if __name__ == "__main__":
    main()
