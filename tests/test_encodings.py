"""Text is UTF-8 in every file, stream and child process, whatever the locale says."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("fairseq_palbert", "preprocess", "recipes")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
TEMPORARY = {"TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile"}


def without_encoding(tree: ast.AST) -> list[int]:
    """Returns the lines of the calls that read or write text in the locale's encoding."""
    return [call.lineno for call in ast.walk(tree) if isinstance(call, ast.Call) and _is_text(call)
            and "encoding" not in {keyword.arg for keyword in call.keywords}]


def _is_text(call: ast.Call) -> bool:
    keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in ("read_text", "write_text") or keywords.get("text") is True
    name = getattr(call.func, "id", "")  # empty where the called expression is no plain name
    if name == "open":
        mode = keywords.get("mode", getattr(call.args[1], "value", "") if len(call.args) > 1 else "r")
        return "b" not in str(mode)
    return name in TEMPORARY and bool(call.args) and "b" not in getattr(call.args[0], "value", "")


def test_every_text_file_is_opened_as_utf_8():
    found = {str(file.relative_to(ROOT)): without_encoding(ast.parse(file.read_bytes())) for file in FILES}
    assert {file: lines for file, lines in found.items() if lines} == {}


def test_a_call_without_an_encoding_is_found():
    program = """open("a"); open("a", "rb"); open("a", mode="w"); open("a", encoding="utf-8")
path.read_text(); path.write_text("a"); path.write_text("a", encoding="utf-8"); path.read_bytes()
subprocess.run(["a"], text=True); subprocess.run(["a"]); TemporaryFile("w+"); TemporaryFile()"""
    assert sorted(without_encoding(ast.parse(program))) == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize("variables", [
    {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
])
def test_a_command_writes_utf_8_whatever_the_locale(tmp_path, variables):
    program = "from fairseq_palbert.command import run; run(lambda: print('na\\u00efve', '\\ud800'))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=os.environ | variables, capture_output=True,
                          timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("naïve \\ud800\n".encode(), b"", 0)
