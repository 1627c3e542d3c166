"""Tests of recipes/setup.sh: when it installs, and what it refuses.

A stand-in interpreter makes environments that hold a copy of itself, and notes the calls of venv and pip.
It runs ``recipes.environment`` with the real Python, whose children use the stand-in. It also answers the final check
of imports, since no package is installed.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INTERPRETER = """#!/usr/bin/env bash
set -eu
AS_STAND_IN='import runpy, sys
sys.executable, *sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")'
case "$*" in
    "-P -m venv"*)
        folder="${!#}"
        [[ "$*" != *--clear* ]] || rm -rf "$folder"
        mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python"
        touch "$folder/pyvenv.cfg"
        echo "$*" >>"$CALLS"
        ;;
    "-P -m pip"*)
        echo "$*" >>"$CALLS"
        if [[ -n "${KILL_AT:-}" && "$*" == *"$KILL_AT"* ]]; then kill -9 $PPID; fi
        ;;
    "-P -c import torch"*) [[ -z "${IMPORT_FAILS:-}" ]] || { echo "ImportError: $IMPORT_FAILS" >&2; exit 1; } ;;
    --version) echo "Python ${VERSION:-3.11}.0" ;;
    "-P -m recipes.environment"*) exec REAL_PYTHON -P -c "$AS_STAND_IN" "$0" "${@:3}" ;;
    *) exec REAL_PYTHON "$@" ;;
esac
"""


@pytest.fixture
def setup(tmp_path):
    """setup(*arguments, **variables) runs recipes/setup.sh from another folder with the stand-in interpreter."""
    interpreter = tmp_path / "python"
    interpreter.write_text(INTERPRETER.replace("REAL_PYTHON", sys.executable))
    interpreter.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "VENV": str(tmp_path / "venv"), "PYTHON": str(interpreter),
                   "CALLS": str(tmp_path / "calls")}

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(ROOT / "recipes" / "setup.sh"), *arguments], env=environment | variables,
                              cwd=tmp_path,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def calls(tmp_path):
    """calls() returns the arguments of venv and pip since the last calls()."""

    def take() -> list[str]:
        path = tmp_path / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        path.write_text("")
        return lines

    return take


def pins(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def test_installs_once(setup, calls):
    first = setup()
    assert first.returncode == 0, first.stderr
    made, tools, packages, torch, fairseq, project = calls()
    assert "venv" in made and "setuptools==" in tools and "--no-deps" in packages
    assert torch.endswith("torch==2.13.0") and "--constraint" in torch and "--no-deps" not in torch
    assert "fairseq-fixed==" in fairseq and "--no-build-isolation" in fairseq and "--no-deps" in fairseq
    assert project.endswith(f"--no-deps --no-build-isolation --editable {ROOT}")
    asked = {word for call in (tools, packages, torch, fairseq) for word in call.split() if "==" in word}
    assert asked == set(pins("requirements.txt"))
    again = setup()
    assert again.returncode == 0 and again.stderr == "" and calls() == []


@pytest.mark.parametrize("killed_at", ["setuptools==", "numpy==", "torch==2", "fairseq-fixed==", "--editable"])
def test_a_set_up_that_was_cut_off_starts_again(setup, calls, killed_at):
    assert setup(KILL_AT=f" {killed_at}" if killed_at == "torch==2" else killed_at).returncode == -9
    calls()
    again = setup()
    assert again.returncode == 0 and "was cut off: starting again from nothing" in again.stderr
    assert "--clear" in calls()[0]
    assert setup().returncode == 0 and calls() == []


def test_benchmark_packages_come_on_top(setup, calls):
    assert setup().returncode == 0
    calls()
    assert setup("--benchmark").returncode == 0
    assert set(pins("recipes/requirements-benchmark.txt")) <= {word for call in calls() for word in call.split()}
    assert setup("--benchmark").returncode == 0 and setup().returncode == 0
    assert calls() == []


def test_another_torch_is_remembered(setup, calls):
    assert setup(TORCH_SPEC="torch==2.12.0 --index-url somewhere").returncode == 0
    torch, = [call for call in calls() if "--constraint" in call]
    assert torch.endswith("torch==2.12.0 --index-url somewhere")
    assert setup().returncode == 0 and calls() == []
    assert setup(TORCH_SPEC="torch==2.13.0").returncode == 0
    assert any(call.endswith(" torch==2.13.0") for call in calls())


def test_an_environment_that_does_not_import_is_not_ready(setup, calls):
    broken = setup(IMPORT_FAILS="libtorch.so")
    assert broken.returncode == 1
    assert broken.stderr.splitlines()[-1].endswith("does not import: ImportError: libtorch.so")
    calls()
    assert setup().returncode == 0 and calls()


REFUSED = {
    "old Python": ([], {"VERSION": "3.9"}, "Python 3.11 is needed, and"),
    "no Python": ([], {"PYTHON": "no-such-python"}, "no-such-python is no Python that runs"),
    "no compiler": ([], {"CXX": "no-such-compiler"}, "'no-such-compiler' does not take C++17"),
    "a folder of other things": ([], {"VENV": str(ROOT / "tests")}, "holds other things: name a new folder"),
    "a file": ([], {"VENV": str(ROOT / "README.md")}, "holds other things: name a new folder"),
    "a folder that cannot be made": ([], {"VENV": "/proc/none"}, "/proc/none: No such file or directory: name another"),
    "unknown flag": (["--gpu"], {}, "unknown argument --gpu"),
}


@pytest.mark.parametrize("arguments, variables, message", REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_gives_one_line(setup, calls, arguments, variables, message):
    run = setup(*arguments, **variables)
    assert run.returncode == 1
    line, = run.stderr.splitlines()
    assert ": error: " in line and message in line
    assert calls() == []


def test_every_package_is_pinned_once():
    files = ("requirements.txt", "recipes/requirements-benchmark.txt")
    names = [pin.split("==")[0].lower() for name in files for pin in pins(name)]
    assert len(set(names)) == len(names) and all("==" in pin for pin in pins("requirements.txt"))
