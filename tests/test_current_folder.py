"""No command imports a module of the current folder, which may be a model folder from elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OTHERS = ("torch", "numpy", "safetensors", "tokenizers", "tqdm", "fairseq", "omegaconf", "hydra", "yaml")


@pytest.fixture
def hostile(tmp_path):
    """Returns a folder of modules with the names of the standard library and of OTHERS; each writes ``executed``."""
    for name in (*sys.stdlib_module_names, *OTHERS):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').close(); raise SystemExit(9)")
    return tmp_path


def run(command: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("command, status, message", [
    ([Path(sys.executable).with_name("palbert"), "predict", "."], 1, "config.json: No such file"),
    ([sys.executable, "-m", "fairseq_palbert", "predict", "."], 1, "config.json: No such file"),
    ([sys.executable, "-m", "fairseq_palbert.serving", "."], 1, "config.json: No such file"),
    ([sys.executable, "-m", "preprocess.data", "--help"], 0, ""),
    ([sys.executable, "-m", "fairseq_palbert.experiment", "task=RTE", "--cfg", "job"], 0, ""),
])
def test_a_command_does_not(hostile, command, status, message):
    done = run(list(map(str, command)), hostile, {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr
    assert not (hostile / "executed").exists()


SPAWNING = """
if __name__ == "__main__":
    import multiprocessing, {imported}
    import fairseq_palbert
    worker = multiprocessing.get_context("spawn").Process(target=print, args=("worked",))
    worker.start()
    worker.join()
"""


@pytest.mark.parametrize("imported, executed", [("fairseq.tasks, fairseq_cli", False), ("json", True)])
def test_a_worker_that_fairseq_spawns_does_not(hostile, tmp_path_factory, imported, executed):
    """Negative control: the worker of a program that imports json in place of fairseq does execute a module."""
    program = tmp_path_factory.mktemp("program") / "program.py"
    program.write_text(SPAWNING.format(imported=imported))
    done = run([sys.executable, str(program)], hostile, {"PYTHONPATH": str(ROOT)})
    assert ("worked" in done.stdout, (hostile / "executed").exists()) == (not executed, executed), done.stderr
