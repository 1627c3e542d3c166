"""Tests of error messages and exit statuses: ``command.run`` for our commands, ``plugin`` for fairseq's."""

import ast
import os
import pickle
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from fairseq_palbert.errors import UserError
from tests.fixtures.processes import run_python

ROOT = Path(__file__).parents[1]
OURS = ("fairseq_palbert", "preprocess", "recipes")
UNWRITABLE = "fairseq_palbert: error: output: cannot be written ({}): choose another place\n"
FILES = sorted(file for package in OURS for file in (ROOT / package).rglob("*.py"))


def test_a_user_error_is_an_ordinary_exception_of_one_line():
    error = UserError("--points 0:\n  at least 1")
    assert isinstance(error, ValueError) and str(error) == "--points 0: at least 1"
    assert str(pickle.loads(pickle.dumps(error))) == str(error), "as between processes"


def test_an_error_repeats_no_control_characters():
    assert str(UserError("a.tsv: 'x\x1b[2J\x00\udc80é\u202e' is no label")) == (
        r"a.tsv: 'x\x1b[2J\x00\udc80é\u202e' is no label")


def test_an_error_that_repeats_a_huge_input_is_cut():
    error = UserError(f"config.json: {'x' * 10**7} is no number: make it again")
    assert len(error.line) < 1100 and str(error).startswith("config.json: xxx")
    assert str(error).endswith("x is no number: make it again")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.fixture
def start():
    """start(body of main, shell redirections) starts a process of ``run(main)`` and returns it."""

    def run(body: str, redirections: str = "") -> subprocess.Popen:
        program = f"import os, sys, time\nfrom fairseq_palbert.command import run\ndef main():\n    {body}\nrun(main)\n"
        buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
        return subprocess.Popen(["bash", "-c", f'exec "$0" -c "$1" {redirections}', sys.executable, program], cwd=ROOT,
                                env=buffered, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    return run


@pytest.mark.parametrize("body, status, out, err", [
    ("print('done')", 0, "done\n", ""),
    ("from fairseq_palbert.errors import UserError; raise UserError('no such\\nfile')", 1, "",
     "fairseq_palbert: error: no such file\n"),
    ("sys.exit('two\\nlines')", 1, "", "two\nlines\n"),
    ("sys.exit(2)", 2, "", ""),
    ("open('x' * 300)", 1, "", f"fairseq_palbert: error: {'x' * 300}: File name too long: choose another place\n"),
    ("raise KeyboardInterrupt", 130, "", "fairseq_palbert: interrupted\n"),
    ("os.kill(os.getpid(), 15)", 143, "", ""),
])
def test_the_end_of_a_command(start, body, status, out, err):
    process = start(body)
    assert (process.communicate(timeout=60), process.returncode) == ((out, err), status)


def test_a_defect_keeps_its_traceback(start):
    process = start("1 / 0")
    assert "ZeroDivisionError" in process.communicate(timeout=60)[1] and process.returncode == 1


@pytest.mark.parametrize("redirections, status, err", [
    ("> /dev/full", 1, UNWRITABLE.format("No space left on device")),
    (">&-", 1, UNWRITABLE.format("Bad file descriptor")),
    ("2>&-", 0, ""),
    ("<&-", 0, ""),
    ("> >(true)", 141, ""),
])
def test_streams_that_cannot_be_used(start, redirections, status, err):
    process = start("time.sleep(0.5); sys.stdin.read(); print('done'); print('progress', file=sys.stderr)",
                    redirections)
    assert (process.communicate(timeout=60)[1].replace("progress\n", ""), process.returncode) == (err, status)


@pytest.mark.parametrize("redirections", ["> /dev/full", ">&-", "> >(true)"])
@pytest.mark.parametrize("end, status, err", [
    ("from fairseq_palbert.errors import UserError; raise UserError('no file')", 1, "error: no file"),
    ("raise KeyboardInterrupt", 130, "interrupted"),
])
def test_an_error_is_told_alone_where_output_cannot_be_written(start, redirections, end, status, err):
    process = start(f"time.sleep(0.5); print('begun'); {end}", redirections)
    assert (process.communicate(timeout=60)[1], process.returncode) == (f"fairseq_palbert: {err}\n", status)


def test_output_before_an_error_is_kept(start):
    process = start("from fairseq_palbert.errors import UserError; print('begun'); raise UserError('no file')")
    assert process.communicate(timeout=60) == ("begun\n", "fairseq_palbert: error: no file\n")


def test_a_file_does_not_take_the_place_of_a_closed_stream(start, tmp_path):
    path = tmp_path / "file"
    process = start(f"file = open({str(path)!r}, 'w'); os.write(2, b'library'); file.write('kept'); file.close()",
                    "2>&-")
    process.communicate(timeout=60)
    assert path.read_text() == "kept"


def test_sigterm_lets_a_command_clear_away(start, tmp_path):
    process = start(f"""from fairseq_palbert.files import staged
    from pathlib import Path
    with staged(Path({str(tmp_path / 'out')!r})):
        print('begun', flush=True)
        time.sleep(60)""")
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 143
    assert not (tmp_path / "out").exists()


def calls_in(nodes: list[ast.AST], foreign: set[str]) -> set[str]:
    """Returns the names of the functions called in ``nodes``, without those of ``foreign`` modules such as json."""
    calls = (node.func for part in nodes for node in ast.walk(part) if isinstance(node, ast.Call))
    return {getattr(call, "attr", None) or getattr(call, "id", "") for call in calls
            if getattr(getattr(call, "value", call), "id", "") not in foreign}


def foreign_names(tree: ast.AST) -> set[str]:
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import) or
               isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.split(".")[0] not in OURS)
    return {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}


def raising(trees: dict[Path, ast.AST]) -> set[str]:
    """Returns the names of the functions that may raise a UserError, directly or through functions that they call by
    a bare name."""
    calls = defaultdict(set)
    for node in (node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        calls[node.name] |= {call.func.id for call in ast.walk(node)
                             if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}
    found = {"UserError"}
    while new := {name for name, names in calls.items() if names & found} - found:
        found |= new
    return found


def swallowing(trees: dict[Path, ast.AST]) -> list[str]:
    """Returns the places of handlers that may swallow a UserError.

    Such a handler catches ValueError or everything, does not end in ``raise``, and follows no handler of UserError.
    """
    names, places = raising(trees), []
    for file, tree in trees.items():
        for block in (node for node in ast.walk(tree) if isinstance(node, ast.Try)):
            tried = calls_in(block.body, foreign_names(tree)) & names
            for handler in block.handlers:
                kinds = {kind and ast.unparse(kind) for kind in getattr(handler.type, "elts", [handler.type])}
                if "UserError" in kinds:
                    break
                if tried and kinds & {None, "ValueError", "Exception"} and not isinstance(handler.body[-1], ast.Raise):
                    places.append(f"{file.name}:{handler.lineno} {', '.join(sorted(tried))}")
    return places


def test_no_handler_of_value_errors_swallows_a_user_error():
    assert swallowing({file: ast.parse(file.read_text()) for file in FILES}) == []


def test_a_handler_that_swallows_one_is_found():
    read = "def read():\n    raise UserError('gone')\n"
    handled = "{}def load():\n    try:\n        read()\n{}    except ValueError:\n        return None\n"
    first = "    except UserError:\n        raise\n"
    assert swallowing({Path("a.py"): ast.parse(handled.format(read, ""))}) == ["a.py:6 read"]
    assert swallowing({Path("a.py"): ast.parse(handled.format(read, first))}) == []


def test_every_registered_part_of_ours_ends_fairseqs_commands_with_a_line():
    from fairseq.criterions import CRITERION_REGISTRY
    from fairseq.models import MODEL_REGISTRY
    from fairseq.optim import OPTIMIZER_REGISTRY
    from fairseq.tasks import TASK_REGISTRY

    from fairseq_palbert.plugin import REGISTERED

    registered = {part for registry in (CRITERION_REGISTRY, MODEL_REGISTRY, OPTIMIZER_REGISTRY, TASK_REGISTRY)
                  for part in registry.values() if part.__module__.startswith("fairseq_palbert.")}
    assert {next(base for base in part.__mro__ if base in REGISTERED) for part in registered} == set(REGISTERED)


BINARIES = Path(sys.executable).parent
TRAIN = [str(BINARIES / "fairseq-train"), "DATA", "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task",
         "RTE", "--cpu",
         "--arch", "palbert_roberta_tiny", "--criterion", "ponder_classification", "--optimizer", "ponder_adam", "--lr",
         "0.001",
         "--batch-size", "32", "--max-update", "1", "--save-dir", "SAVE"]


@pytest.mark.parametrize("flags, message", [
    (["--glue-task", "SQuAD"], "unknown task 'SQuAD'"),
    (["--beta", "-1"], "--beta -1.0: choose a number from 0 on"),
    (["--valid-subset", "test"], "this split has no labels"),
    (["--restore-file", "OTHER"], "was made with --encoder-layers 4"),
])
def test_a_wrong_flag_of_fairseq_train_is_told_in_a_line(toy, tmp_path, flags, message):
    other, data = map(str, toy("RTE"))
    paths = {"DATA": data, "OTHER": other, "SAVE": str(tmp_path / "save")}
    done = run_python([paths.get(word, word) for word in TRAIN + flags])
    assert done.returncode == 1 and "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("fairseq_palbert: error: ") and message in line
    assert not list((tmp_path / "save").glob("*.pt"))


# What fairseq-train does where it finds a GPU: it spawns a worker, in which our task raises a UserError.
SPAWNED = """
import fairseq_cli.train
from fairseq.dataclass.configs import FairseqConfig
from fairseq.distributed import utils
import fairseq_palbert
from fairseq_palbert.tasks.sentence_task import SentenceConfig, SentenceTask

utils.distributed_init = lambda cfg: 0
utils.torch.cuda.device_count = lambda: 1

def train(cfg, **_):
    SentenceTask.setup_task(SentenceConfig(data="nowhere"))

if __name__ == "__main__":
    cfg = FairseqConfig()
    cfg.distributed_training.distributed_init_method = "file:///dev/null"
    utils.call_main(cfg, train)
"""


def test_a_spawned_worker_tells_a_mistake_in_a_line(tmp_path):
    (tmp_path / "program.py").write_text(SPAWNED)
    done = subprocess.run([sys.executable, str(tmp_path / "program.py")], cwd=tmp_path, capture_output=True, text=True,
                          timeout=120,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("fairseq_palbert: error: nowhere: no such data folder")
