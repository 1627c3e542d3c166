"""Tests of ``run_info``: commit, versions and time."""

import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy
import torch

from fairseq_palbert import run_info

PACKAGE = Path(run_info.__file__).parent


def git(folder, *command):
    names = ["-c", "user.name=someone", "-c", "user.email=someone@example.org"]
    done = subprocess.run(["git", "-C", str(folder), *names, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def state_in(folder):
    """Copies ``run_info`` into a package in ``folder``; returns a function that asks the copy for its git state."""
    package = folder / "fairseq_palbert"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(PACKAGE / "run_info.py", package)

    def ask():
        program = "from fairseq_palbert.run_info import git_state; print(git_state())"
        command = [sys.executable, "-B", "-c", program]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout

    return ask


def test_the_commit_and_whether_tracked_files_differ(tmp_path):
    told = state_in(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-q", "-m", "all of it")
    (tmp_path / "notes").write_text("untracked")
    assert told() == f"{ {'commit': git(tmp_path, 'rev-parse', 'HEAD'), 'dirty': False} }\n"
    (tmp_path / "fairseq_palbert" / "__init__.py").write_text("1\n")
    assert told() == f"{ {'commit': git(tmp_path, 'rev-parse', 'HEAD'), 'dirty': True} }\n"


def test_a_package_installed_inside_another_repository_has_no_commit(tmp_path):
    told = state_in(tmp_path / "site-packages")
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "-m", "another project", "--allow-empty")
    assert told() == "None\n"


def test_versions_are_those_of_the_modules():
    found = run_info.versions()
    assert (found["torch"], found["numpy"]) == (torch.__version__, numpy.__version__)
    assert found["python"] == sys.version.split()[0] and "fairseq-fixed" in found


def test_nothing_heavy_is_imported():
    program = "import sys, fairseq_palbert.run_info as r; r.versions(); print({'torch', 'numpy'} & set(sys.modules))"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True).stdout == "set()\n"


def test_the_time_is_in_utc():
    assert datetime.fromisoformat(run_info.now()).utcoffset().total_seconds() == 0
