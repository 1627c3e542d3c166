"""The provenance of scores: what it takes to reproduce them."""

import platform
from pathlib import Path

import torch

from ..checkpoints.formats.model_folder import WEIGHTS_FILE
from ..files import file_sha256
from ..run_info import git_state, now, versions


def provenance(argv: list[str], checkpoint: Path, device: torch.device) -> dict:
    """Command, time, checkpoint with its SHA-256, code (None outside a git repository), versions and device.

    For an exported model the checkpoint is its weights file.
    """
    checkpoint = checkpoint / WEIGHTS_FILE if checkpoint.is_dir() else checkpoint
    return {
        "command": ["python", "-m", "fairseq_palbert.evaluation", *argv],
        "time": now(),
        "checkpoint": {"path": str(checkpoint.resolve()), "sha256": file_sha256(checkpoint)},
        "git": git_state(),
        "versions": versions(),
        "device": _describe(device),
    }


def _describe(device: torch.device) -> dict:
    if device.type == "cuda":
        return {"type": "cuda", "name": torch.cuda.get_device_name(device)}
    return {"type": "cpu", "name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
