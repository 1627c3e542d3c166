"""Shared fixtures: the real data that a machine may have, found through GLUE_DIR and VOCAB_DIR alone."""

import os
from pathlib import Path

import pytest


def _folder(variable: str) -> Path:
    """The folder that the variable names. Skips where it is unset; fails where it is set and names no folder."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is unset: no real data for this test")
    folder = Path(value)
    assert folder.is_dir(), f"{variable}={value} is not a folder"
    return folder


@pytest.fixture(scope="session")
def glue_dir():
    """``glue_dir("RTE")`` is the folder of that task's raw TSVs; the test is skipped where it is not there."""

    def find(task: str) -> Path:
        folder = _folder("GLUE_DIR") / task
        if not folder.is_dir():
            pytest.skip(f"GLUE_DIR has no {task}")
        return folder

    return find


@pytest.fixture(scope="session")
def vocab_dir():
    """``vocab_dir("gpt2_bpe")`` is the folder of that vocabulary; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        folder = _folder("VOCAB_DIR") / name
        if not folder.is_dir():
            pytest.skip(f"VOCAB_DIR has no {name}")
        return folder

    return find
