"""Provenance of a run: git commit, package versions, machine, time."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "fairseq-fixed", "fairseq", "numpy", "scipy", "tokenizers")


def git_state() -> dict | None:
    """The ``commit``, and whether tracked files differ from it (``dirty``); None where this code has no repository."""
    if _git("rev-parse", "--show-toplevel") != str(REPOSITORY):
        return None
    return {"commit": _git("rev-parse", "HEAD"), "dirty": bool(_git("status", "--porcelain", "--untracked-files=no"))}


def versions() -> dict[str, str]:
    """Versions of Python and of the installed ``PACKAGES``, read without importing them."""
    version_of = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            version_of[package] = version(package)
        except PackageNotFoundError:  # of fairseq's two distributions one is installed
            continue
    return version_of


def machine() -> dict:
    """The operating system, and the number of processors."""
    return {"platform": platform.platform(), "cores": os.cpu_count()}


def now() -> str:
    """The time in UTC, to the second: 2026-01-02T03:04:05+00:00."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*command: str) -> str | None:
    try:
        result = subprocess.run(["git", "--no-optional-locks", "-C", str(REPOSITORY), *command], capture_output=True,
                                text=True, encoding="utf-8")
    except FileNotFoundError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None
