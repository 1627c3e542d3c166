"""Imports point one way, and what a served model needs never imports fairseq. See the layout in the README."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fairseq_palbert"
# What each part may import of the others. Every part may import ``errors`` and ``replacing``.
ALLOWED = {
    "glue": set(),
    "ponder": set(),
    "modules": {"ponder"},
    "families": set(),
    "tokenization": set(),
    "exits": {"glue", "ponder"},
    "inference": {"exits", "glue", "ponder"},
    "optim": set(),
    "tasks": {"glue", "tokenization"},
    "models": {"families", "modules", "optim", "ponder"},
    "criterions": {"exits", "glue", "modules", "ponder"},
    "engine_flags": {"inference", "modules"},
    "serving": {"engine_flags", "exits", "glue", "inference", "modules", "tokenization"},
    "evaluation": {"criterions", "engine_flags", "exits", "families", "glue", "inference", "modules", "plugin",
                   "ponder", "tasks"},
    "errors": set(),
    "replacing": set(),
    "plugin": {"criterions", "models", "optim", "tasks"},
    "__init__": {"plugin"},
}
WITHOUT_FAIRSEQ = {"families", "tokenization", "glue", "ponder", "exits", "modules", "inference", "engine_flags", "serving", "errors",
                   "replacing"}
EVALUATION_ONLY = {"matplotlib", "tensorboard", "torch.utils.tensorboard"}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    """``glue`` of fairseq_palbert/glue/tasks.py, ``errors`` of fairseq_palbert/errors.py."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(file: Path) -> tuple[set[str], set[str]]:
    """(modules of others, parts of this package) that the file imports, anywhere in it."""
    others, parts = set(), set()
    folder = ["fairseq_palbert", *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            base = folder[:len(folder) - node.level + 1] + (node.module.split(".") if node.module else [])
            names = [base] if node.module else [[*base, alias.name] for alias in node.names]
            parts |= {name[1] for name in names if len(name) > 1}
    return others, parts


def test_imports_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "exits").mkdir()
    file = tmp_path / "exits" / "rule.py"
    file.write_text("import torch.nn as nn\nfrom fairseq import metrics\nfrom ..ponder.halting import cdf\n"
                    "from .. import glue\nfrom . import base\ndef late():\n    from ..tasks import glue\n")
    assert part_of(file) == "exits"
    assert imported(file) == ({"torch.nn", "fairseq", "fairseq.metrics"}, {"ponder", "glue", "exits", "tasks"})


def test_every_part_is_known():
    assert {part_of(file) for file in FILES} == set(ALLOWED)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_part_may(file):
    others, parts = imported(file)
    part = part_of(file)
    assert parts <= ALLOWED[part] | {part, "errors", "replacing"}
    assert "fairseq_palbert" not in {name.split(".")[0] for name in others}, "imports inside the package are relative"
    if part in WITHOUT_FAIRSEQ:
        assert "fairseq" not in {name.split(".")[0] for name in others}
    if part != "evaluation":
        assert not [name for name in others if any(f"{name}.".startswith(f"{heavy}.") for heavy in EVALUATION_ONLY)]
