"""The pooling of a folder, as sentence-transformers writes and reads it.

modules.json lists the modules and their folders. The one of type Pooling says how in its config.json: by the name of
the mode, or in older folders by a boolean for each. What follows it, such as Dense, is no part of the encoder.
"""

from pathlib import Path
from typing import Any

from ...errors import UserError
from ...files import read_text, write_json
from ...json_files import parse_list, read_json
from ...schema import BOOLEAN, check_fields, list_of, text

MODULES_FILE = "modules.json"
POOLING_FILE = "1_Pooling/config.json"  # the usual one, where modules.json did not come along
POOLING_TYPE = ".Pooling"  # the end of the class's dotted name, whose start depends on the version
MODE, OLD_MODE = "pooling_mode", "pooling_mode_"
OLD_MODES = {"cls_token": "first", "mean_tokens": "mean"}  # ours by theirs
MODES = {**OLD_MODES, "cls": "first", "mean": "mean"}
REMEDY = "download it again, or choose with --pooling"


def pooling_of(folder: Path) -> str | None:
    """"first" or "mean", as the folder's Pooling module says; None of a folder without one.

    Raises UserError for a pooling that this plugin does not have, and for a missing or damaged file.
    """
    path = _pooling_file(folder)
    if path is None:
        return None
    config = read_json(path, REMEDY)
    try:
        modes = _modes(config)
    except ValueError as error:
        raise UserError(f"{path}: {error}: {REMEDY}") from error
    if len(modes) != 1 or modes[0] not in MODES:
        raise UserError(f"{path}: pools by {' and '.join(modes) or 'nothing known'}, and this plugin by cls or mean: "
                        "choose with --pooling")
    return MODES[modes[0]]


def write_pooling(folder: Path, pooling: str, hidden: int) -> None:
    """Writes the modules of an encoder of ``hidden`` units and this ``pooling``, for every version to read."""
    pooling_file = folder / POOLING_FILE
    write_json(folder / MODULES_FILE, [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": pooling_file.parent.name, "type": "sentence_transformers.models.Pooling"}])
    pooling_file.parent.mkdir()
    write_json(pooling_file, {"word_embedding_dimension": hidden,
                              **{OLD_MODE + theirs: ours == pooling for theirs, ours in OLD_MODES.items()}})


def _pooling_file(folder: Path) -> Path | None:
    modules_file, usual = folder / MODULES_FILE, folder / POOLING_FILE
    if not modules_file.is_file():
        return usual if usual.is_file() else None
    text_of_modules = read_text(modules_file, REMEDY)
    try:
        modules = parse_list(text_of_modules)
        for module in modules:
            check_fields(module, {"type": text(), "path": text()}, "module.", exact=False)
    except ValueError as error:
        raise UserError(f"{modules_file}: {error}: {REMEDY}") from error
    for module in modules:
        if module.get("type", "").endswith(POOLING_TYPE):
            path = folder / module.get("path", "") / "config.json"
            if not path.is_file():
                raise UserError(f"{modules_file}: names {path}, which is not there: {REMEDY}")
            return path
    return None


def _modes(config: dict[str, Any]) -> list[str]:
    """Raises ValueError, whose message is a phrase, for values of wrong types."""
    if MODE in config:
        modes = [config[MODE]] if isinstance(config[MODE], str) else config[MODE]
        check_fields({MODE: modes}, {MODE: list_of(text(), 0, 10)})
        return modes
    old = {name: on for name, on in config.items() if name.startswith(OLD_MODE)}
    check_fields(old, dict.fromkeys(old, BOOLEAN))
    return [name.removeprefix(OLD_MODE) for name, on in old.items() if on]
