"""Where scores come from: enough to run them again."""

import hashlib
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import fairseq
import numpy
import scipy
import torch

from ..checkpoints.formats.model_folder import WEIGHTS_FILE

REPOSITORY = Path(__file__).resolve().parents[2]


def provenance(argv: list[str], checkpoint: Path, device: torch.device) -> dict:
    """Command, checkpoint with its SHA-256, code (None outside a git repository), versions and device.

    Of an exported model the checkpoint is its weights' file.
    """
    checkpoint = checkpoint / WEIGHTS_FILE if checkpoint.is_dir() else checkpoint
    with open(checkpoint, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "command": ["python", "-m", "fairseq_palbert.evaluation", *argv],
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": digest},
        "git": _git(),
        "versions": {"python": platform.python_version()} | {
            module.__name__: module.__version__ for module in (torch, fairseq, numpy, scipy)},
        "device": _describe(device),
    }


def _git() -> dict | None:
    commit = _run_git("rev-parse", "HEAD")
    return commit and {"commit": commit, "dirty": bool(_run_git("status", "--porcelain", "--untracked-files=no"))}


def _run_git(*command: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(REPOSITORY), *command], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _describe(device: torch.device) -> dict:
    if device.type == "cuda":
        return {"type": "cuda", "name": torch.cuda.get_device_name(device)}
    return {"type": "cpu", "name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
