"""Write the README's tables of flags from the dataclasses: ``python -m fairseq_palbert.flag_tables``."""

import re
from dataclasses import Field, fields
from enum import Enum
from pathlib import Path

from fairseq.optim.adam import FairseqAdamConfig

from .criterions.act import ActConfig
from .criterions.every_layer import EveryLayerConfig
from .criterions.multi_exit_classification import MultiExitClassificationConfig
from .criterions.ponder_classification import PonderClassificationConfig
from .files import replacing
from .models.palbert import PalbertConfig
from .models.ponder_rnn import PonderRnnConfig, RecurrentConfig
from .optim.ponder_adam import PonderAdamConfig
from .tables import markdown
from .tasks.parity import ParityConfig
from .tasks.sentence_task import SentenceConfig

README = Path(__file__).with_name("README.md")
# table name in the README: the dataclass, and the parent whose fields are left out
TABLES = {
    "--task glue": (SentenceConfig, None),
    "--task parity": (ParityConfig, None),
    "--arch palbert_*": (PalbertConfig, None),
    "--arch ponder_rnn and act_rnn": (RecurrentConfig, None),
    "--arch ponder_rnn": (PonderRnnConfig, RecurrentConfig),
    "--criterion ponder_classification": (PonderClassificationConfig, EveryLayerConfig),
    "--criterion multi_exit_classification": (MultiExitClassificationConfig, EveryLayerConfig),
    "--criterion act": (ActConfig, EveryLayerConfig),
    "all criterions": (EveryLayerConfig, None),
    "--optimizer ponder_adam": (PonderAdamConfig, FairseqAdamConfig),
}
POSITIONAL = {"data"}


def flag_table(config: type, inherited: type | None) -> str:
    """A Markdown table of the flags of ``config``, without those of ``inherited`` and those that ``II`` borrows."""
    left_out = POSITIONAL | ({field.name for field in fields(inherited)} if inherited else set())
    rows = [[f"`--{field.name.replace('_', '-')}`", _default(field), _meaning(field)] for field in fields(config)
            if field.name not in left_out and not field.name.startswith("_") and not _is_borrowed(field)]
    return markdown([["flag", "default", "meaning"], *rows], words=3)


def with_tables(page: str) -> str:
    """The page with every table between ``<!-- flags of NAME -->`` and ``<!-- end of flags -->`` rewritten.

    Raises ValueError where the page lacks a table or names an unknown one.
    """
    names = re.findall(r"<!-- flags of (.+) -->", page)
    if sorted(names) != sorted(TABLES):
        raise ValueError(f"the page has the tables {sorted(names)}, not {sorted(TABLES)}")
    for name, configs in TABLES.items():
        start, end = f"<!-- flags of {name} -->\n", "<!-- end of flags -->"
        before, _, rest = page.partition(start)
        page = before + start + flag_table(*configs) + "\n" + end + rest.partition(end)[2]
    return page


def _is_borrowed(field: Field) -> bool:
    return str(field.default).startswith("${")


def _default(field: Field) -> str:
    value = field.default.value if isinstance(field.default, Enum) else field.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "(required)" if value == "???" else f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _meaning(field: Field) -> str:
    choices = ": " + ", ".join(choice.value for choice in field.type) if _is_choice(field) else ""
    return field.metadata["help"].replace("|", "\\|") + choices


def _is_choice(field: Field) -> bool:
    return isinstance(field.type, type) and issubclass(field.type, Enum)


def main() -> None:
    page = with_tables(README.read_text(encoding="utf-8"))
    with replacing(README) as part:
        part.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
