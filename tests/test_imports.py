"""Imports point one way, and what a served model needs never imports fairseq. See the layout in the README."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fairseq_palbert"
# Each part, and the parts that it may import besides COMMON. A file belongs to the longest part name that fits.
ALLOWED = {
    "definitions": set(),
    "raw": {"definitions"},
    "submissions": {"definitions", "raw"},
    "ponder": set(),
    "modules": {"ponder"},
    "families": set(),
    "tokenization": set(),
    "exits": {"ponder"},
    "inference": {"compat", "exits", "modules", "ponder"},
    "optim": {"compat.quiet_fairseq"},
    "tasks": {"compat.fairseq_registries", "compat.fairseq_trainer", "compat.quiet_fairseq", "definitions",
              "tokenization"},
    "checkpoints.formats": {"definitions", "families", "modules", "tokenization"},
    "models": {"checkpoints.formats", "compat", "compat.fairseq_trainer", "compat.fairseq_registries",
               "compat.quiet_fairseq", "families", "modules", "optim", "ponder"},
    "criterions": {"compat.quiet_fairseq", "definitions", "exits", "modules", "ponder"},
    "checkpoints": {"checkpoints.formats", "compat", "criterions", "definitions", "families", "models", "modules",
                    "ponder", "tasks", "tokenization"},
    "experiment": {"checkpoints", "checkpoints.formats", "command", "definitions", "exits", "experiment.methods",
                   "families", "raw"},
    "experiment.methods": {"definitions"},
    "analysis": {"definitions", "exits", "modules", "ponder"},
    "serving": {"checkpoints.formats", "cli", "definitions", "exits", "inference", "modules", "tokenization"},
    "evaluation": {"analysis", "checkpoints", "checkpoints.formats", "definitions", "exits", "inference", "modules",
                   "plugin", "submissions", "tasks"},
    "report": {"analysis", "definitions", "evaluation", "exits", "experiment.methods", "modules", "raw"},
    "binarized_files": set(),
    "command": set(),
    "command_file": set(),
    "compat": set(),
    "compat.quiet_fairseq": set(),
    "compat.fairseq_trainer": set(),
    "compat.fairseq_registries": set(),
    "errors": set(),
    "cli": {"command"},
    "__main__": {"cli"},
    "files": set(),
    "json_files": set(),
    "numbers_from_text": set(),
    "scores_file": set(),
    "schema": set(),
    "run_info": set(),
    "tables": set(),
    "tensor_files": set(),
    "text_lines": set(),
    "tsv": set(),
    "flag_tables": {"criterions", "models", "optim", "tasks"},
    "train_flags": {"command", "plugin"},
    "plugin": {"checkpoints", "compat.fairseq_trainer", "criterions", "models", "optim", "tasks"},
    "__init__": {"plugin"},
}
COMMON = {"binarized_files", "command", "command_file", "errors", "files", "json_files", "numbers_from_text", "schema",
          "scores_file", "run_info", "tables", "tensor_files", "text_lines", "tsv"}
WITHOUT_FAIRSEQ = {"families", "tokenization", "definitions", "raw", "submissions", "ponder", "exits", "modules",
                   "inference", "analysis", "report", "serving", "compat", "experiment", "experiment.methods"} | COMMON
WITHOUT_FAIRSEQ_FILES = {"checkpoints/training_state.py", "checkpoints/formats/model_folder.py",
                         "checkpoints/formats/digests.py", "checkpoints/formats/encoder_source.py",
                         "checkpoints/formats/names.py", "checkpoints/formats/weights.py"}
PLOTS = {"matplotlib", "tensorboard", "torch.utils.tensorboard"}
PLOTTING = {"analysis", "evaluation", "report"}
FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: tuple[str, ...]) -> str:
    """Returns ``raw`` for ("raw", "files"), ``checkpoints.formats`` for ("checkpoints", "formats", "names")."""
    names = [".".join(module[:length]) for length in range(len(module), 0, -1)]
    return next((name for name in names if name in ALLOWED), names[-1])


def module_of(file: Path) -> tuple[str, ...]:
    return tuple(file.relative_to(PACKAGE).with_suffix("").parts)


def imported(file: Path) -> tuple[set[str], set[str]]:
    """Returns (modules of other packages, parts of this package) that the file imports, anywhere in it."""
    others, parts = set(), set()
    folder = module_of(file)[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            others |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            base = folder[:len(folder) - node.level + 1] + tuple(node.module.split(".") if node.module else ())
            parts |= {part_of((*base, alias.name)) for alias in node.names}
    return others, parts


def test_imports_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    (tmp_path / "exits").mkdir()
    file = tmp_path / "exits" / "rule.py"
    file.write_text("import torch.nn as nn\nfrom fairseq import metrics\nfrom ..ponder.halting import cdf\n"
                    "from .. import raw\nfrom . import base\ndef late():\n    from ..tasks import binarized\n")
    assert module_of(file) == ("exits", "rule")
    assert imported(file) == ({"torch.nn", "fairseq", "fairseq.metrics"}, {"ponder", "raw", "exits", "tasks"})


def test_a_part_is_the_longest_name():
    assert part_of(("checkpoints", "formats", "names")) == "checkpoints.formats"
    assert part_of(("checkpoints", "convert")) == "checkpoints"


def test_every_part_is_known():
    assert {part_of(module_of(file)) for file in FILES} == set(ALLOWED)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_part_may(file):
    others, parts = imported(file)
    part = part_of(module_of(file))
    assert parts <= ALLOWED[part] | {part} | COMMON
    assert not {"fairseq_palbert", "preprocess", "recipes"} & {name.split(".")[0] for name in others}
    if part in WITHOUT_FAIRSEQ or str(file.relative_to(PACKAGE)) in WITHOUT_FAIRSEQ_FILES:
        assert "fairseq" not in {name.split(".")[0] for name in others}
    if part not in PLOTTING:
        assert not [name for name in others if any(f"{name}.".startswith(f"{heavy}.") for heavy in PLOTS)]
