"""Tests of ``palbert COMMAND``: imports, help, one-line errors, and the current folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fairseq_palbert import cli
from fairseq_palbert.command import PATH_ERRORS
from fairseq_palbert.errors import UserError
from tests.fixtures.processes import run_python

ROOT = Path(__file__).parents[1]
PALBERT = ["-c", "import sys; from fairseq_palbert.cli import palbert; sys.exit(palbert())"]
LOADED = "import sys; from fairseq_palbert.cli import main\ntry:\n    main({})\nfinally:\n    print(*sys.modules)"
# For each command: wrong arguments that are refused at once, and a part of the message.
WRONG = {
    "data": (["--task", "SQuAD", "--out", "OUT"], "unknown task 'SQuAD'"),
    "convert": (["nowhere", "--out", "OUT", "--vocab", "nowhere"], "nowhere: no such file or folder here"),
    "train": (["task=SQuAD"], "unknown task 'SQuAD'"),
    "evaluate": (["nowhere.pt", "--data", "nowhere", "--exit", "fixed:1", "--out", "OUT"],
                 "nowhere.pt: No such file or directory: give a checkpoint"),
    "sweep": (["nowhere", "--out", "OUT"], "nowhere: No such file"),
    "thresholds": (["nowhere", "--budget", "3", "--out", "OUT"], "nowhere: No such file"),
    "keep": (["nowhere", "minilm"], "has no seed*/scores/*/record.safetensors"),
    "report": (["nowhere", "--out", "OUT"], "nowhere: no such file or folder"),
    "compare": (["fixed:1", "fixed:2", "--runs", "RTE", "nowhere", "nowhere"], "no nowhere/seed*/scores/valid"),
    "submission": (["nowhere", "--exit", "fixed:1", "--out", "OUT.zip"], "nowhere has no task of GLUE"),
    "export": (["nowhere.pt", "--out", "OUT"], "nowhere.pt: No such file or directory: give a checkpoint"),
    "predict": (["nowhere"], "nowhere/config.json: No such file"),
}


def start(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess:
    # -P keeps the current folder off sys.path, as the console script does.
    return subprocess.run([sys.executable, "-P", *arguments], cwd=cwd, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def palbert(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    return start([*PALBERT, *arguments], cwd)


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", LOADED.format(list(arguments))], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)
    return set(done.stdout.splitlines()[-1].split())


def test_help_names_every_command_and_loads_nothing_heavy():
    done = palbert("--help", cwd=ROOT)
    assert done.returncode == 0 and all(f"  {name} " in done.stdout for name in cli.COMMANDS)
    assert not {"torch", "numpy", "fairseq", "hydra"} & loaded("--help")


def test_predict_loads_no_fairseq():
    names = loaded("predict", "--help")
    assert "torch" in names and not {"fairseq", "hydra", "omegaconf"} & names


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_mistake_is_one_line_and_status_1(command, tmp_path):
    arguments, message = WRONG[command]
    run = run_python if command != "train" else start  # fairseq would bring Hydra groups of its own
    done = run([*PALBERT, command, *arguments], cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("fairseq_palbert: error: ") and message in line and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])  # train: fuzz/test_settings.py
def test_a_path_that_is_too_long_is_one_line(command, tmp_path, monkeypatch):
    """An OSError whose number is in ``PATH_ERRORS`` is accepted, because ``command.run`` turns it into one line."""
    monkeypatch.chdir(tmp_path)
    arguments = [word.replace("nowhere", "x" * 5000) for word in WRONG[command][0]]
    with pytest.raises((UserError, OSError, SystemExit)) as raised:
        cli.main([command, *arguments])
    assert not isinstance(raised.value, OSError) or raised.value.errno in PATH_ERRORS
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])  # its help is Hydra's
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert words.startswith(f"usage: palbert {command} ") and f"palbert {command} " in words.split("Example:")[1]


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "sweep", ("no_such_package", ""))
    with pytest.raises(UserError, match="palbert sweep needs no_such_package, which is not installed: see the extras"):
        cli.main(["sweep"])


def test_an_unknown_command_is_refused(tmp_path):
    done = palbert("serve", cwd=tmp_path)
    assert done.returncode == 2 and "invalid choice: 'serve'" in done.stderr


def test_nothing_in_the_current_folder_is_executed(tmp_path):
    for name in ("json.py", "torch.py", "preprocess.py", "fairseq_palbert.py"):
        (tmp_path / name).write_text("raise SystemExit('executed')")
    done = palbert("predict", ".", cwd=tmp_path)
    assert done.returncode == 1 and "config.json: No such file" in done.stderr
