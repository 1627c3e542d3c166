"""fairseq's commands as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def fairseq():
    """fairseq("train", ARGUMENTS...) runs fairseq-train on one thread -> all that it prints."""

    def run(command, *arguments):
        done = subprocess.run(
            [str(Path(sys.executable).with_name(f"fairseq-{command}")), *map(str, arguments)],
            capture_output=True, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout + done.stderr

    return run
