"""One JSON line that says what a recipe was called with, and on what: python recipes/invocation.py RECIPE ARGUMENTS..."""

import json
import os
import platform
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "fairseq-fixed", "numpy", "tokenizers")
VARIABLES = (
    "ARCH", "BATCH", "BETA", "CLIP_NORM", "CPU_WORKERS", "DATA", "DETOKENIZE", "DROPOUT", "EXITS", "EXTRA_TRAIN_FLAGS",
    "FIRST_RUN", "FIRST_TRAIN_FLAGS", "FRESH_HEADS", "GATE_BATCH", "GATE_BETA", "GATE_LR", "GATE_TARGET", "GATE_UPDATES",
    "GLUE_DIR", "HOLDOUT_FRACTION", "LAMBDA_LR", "LAYER_COST", "LENGTH_POOL", "LR", "MAX_EPOCH", "MAX_POSITIONS",
    "MAX_UPDATE", "METHOD", "MNLI_RUN", "NUM_GPUS", "OMP_NUM_THREADS", "PATIENCE", "PRETRAINED", "PRETRAINED_DIR",
    "PRIOR_LAMBDA", "RUN_DIR", "SEARCH_BETA", "SEARCH_LAMBDA_LR", "SEARCH_LR", "SEEDS", "SELECT_ON", "TRAIN_EXAMPLES",
    "UPDATE_FREQ", "VANILLA_RUN", "VOCAB_DIR", "WARMUP", "WEIGHT_DECAY",
)


def git(*arguments: str) -> str | None:
    """What git says of the repository, or None where this is no checkout, or there is no git."""
    try:
        run = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()


def invocation(recipe: str, arguments: list[str]) -> dict:
    changes = git("status", "--porcelain")
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "recipe": recipe,
        "arguments": arguments,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "commit": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "machine": platform.platform(),
        "cores": os.cpu_count(),
    }


if __name__ == "__main__":
    print(json.dumps(invocation(sys.argv[1], sys.argv[2:])))
