"""The README names every flag that the plugin adds, with its default, and every folder of the package."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from fairseq.optim.adam import FairseqAdamConfig

from fairseq_palbert.criterions.multi_exit_classification import MultiExitClassificationConfig
from fairseq_palbert.criterions.ponder_classification import PonderClassificationConfig
from fairseq_palbert.models.palbert import PalbertConfig
from fairseq_palbert.optim.ponder_adam import PonderAdamConfig
from fairseq_palbert.tasks.glue_task import GlueConfig

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
INHERITED = {item.name for item in fields(FairseqAdamConfig)} | {"_name"}


def flags(config):
    """Flag -> default as the README writes it, of the fields that the plugin adds and does not borrow from fairseq."""
    own = [item for item in fields(config) if item.name not in INHERITED and not str(item.default).startswith("${")]
    return {"--" + item.name.replace("_", "-"): item for item in own if item.name != "data"}


def written(default):
    if default is None:
        return None
    return "off" if default is False else f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


@pytest.mark.parametrize("config", [GlueConfig, PalbertConfig, PonderClassificationConfig, MultiExitClassificationConfig,
                                    PonderAdamConfig])
def test_every_flag_stands_in_the_readme_with_its_default(config):
    rows = dict(re.findall(r"^\| `(--[a-z-]+)` \| ([^|]*?) \|", README, flags=re.M))
    for flag, item in flags(config).items():
        assert flag in rows, f"the README does not list {flag}"
        if written(item.default) is not None:
            assert rows[flag] == written(item.default), flag


def test_every_folder_stands_in_the_layout():
    folders = {path.name for path in (ROOT / "fairseq_palbert").iterdir() if any(path.glob("*.py"))}
    assert not [name for name in folders if f"`{name}/" not in README]
