"""Tests of recipes/lib.sh: recipes work from any folder and through links.

They import no module from the current folder.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def other(tmp_path):
    """Returns a folder with a json.py that must not be imported and a recipes/ that must not be used for ours."""
    (tmp_path / "json.py").write_text("raise SystemExit('json.py was imported')\n")
    (tmp_path / "recipes").mkdir()
    return tmp_path


def call(recipe: str | Path, *arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    environment = {"PATH": os.environ["PATH"], "VENV": sys.prefix, **variables}
    return subprocess.run([str(recipe), *arguments], env=environment, cwd=cwd, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("recipe", ["benchmark_memory.sh", "benchmark_preprocess.sh", "encoders.sh", "glue_all.sh",
                                    "glue_task.sh", "quickstart.sh", "setup.sh", "superglue_all.sh", "test.sh"])
def test_through_a_link_in_another_folder(other, recipe):
    (other / recipe).symlink_to(ROOT / "recipes" / recipe)
    run = call(f"./{recipe}", "--help", cwd=other)
    assert run.returncode == 0 and run.stderr == "" and f"recipes/{recipe}" in run.stdout


def test_with_cdpath(other):
    run = call("bash", "-c", 'source recipes/lib.sh && echo "$ROOT"', cwd=ROOT, CDPATH=str(other))
    assert (run.stdout, run.stderr) == (f"{ROOT}\n", "")


def test_without_an_environment(other):
    run = call(ROOT / "recipes" / "benchmark_memory.sh", cwd=other, VENV="nowhere")
    assert run.returncode == 1
    assert run.stderr == (f"benchmark_memory.sh: error: no Python environment in {other}/nowhere: "
                          "run recipes/setup.sh first\n")


@pytest.mark.parametrize("recipe", ["benchmark_memory.sh", "glue_all.sh", "glue_task.sh"])
def test_with_half_an_environment(other, recipe):
    (other / "half" / "bin").mkdir(parents=True)
    (other / "half" / "bin" / "python").symlink_to(sys.executable)
    (other / "half" / ".setup-unfinished").touch()
    run = call(ROOT / "recipes" / recipe, "RTE", cwd=other, VENV="half")
    assert run.returncode == 1
    assert run.stderr == (f"{recipe}: error: the set-up of {other}/half has not ended: run recipes/setup.sh, or wait "
                          "for it\n")
