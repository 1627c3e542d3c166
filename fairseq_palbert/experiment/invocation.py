"""The record of an experiment's start: when, with which settings, on what code and versions."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from .settings import Settings, given

PACKAGES = ("torch", "fairseq-fixed", "numpy", "tokenizers")


def invocation(settings: Settings) -> dict:
    """``variables`` are the settings that were given, under the names of recipes/glue_task.sh."""
    variables = {name.upper(): " ".join(map(str, value)) if isinstance(value, list) else str(value)
                 for name, value in given(settings).items()}
    changes = _git("status", "--porcelain")
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"), "recipe": "fairseq_palbert.experiment",
        "arguments": [settings.task], "variables": variables,
        "commit": _git("rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(), "packages": {name: version(name) for name in PACKAGES},
        "machine": platform.platform(), "cores": os.cpu_count(),
    }


def _git(*arguments: str) -> str | None:
    """What git says of the repository, or None where this is no checkout, or there is no git."""
    try:
        command = ["git", "-C", Path(__file__).parent, *arguments]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return run.stdout.strip()
