"""Turn a definition's plain content on splits and their files into sources, and check the columns."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ..schema import BOOLEAN, Kind, choice, integer, list_of, text
from .definition import Source, Split, TaskDefinition
from .fault import Fault, check_table

FORMATS = ("tsv", "csv", "jsonl", "json", "parquet", "lines")
ENDINGS = {ending: name for name in FORMATS[:-1] for ending in (f".{name}", f".{name}.gz")}
FORMATS_WITH = {  # the formats of a file that a setting is for
    "encoding": ("tsv", "csv", "jsonl", "json", "lines"), "columns": ("tsv", "csv"), "delimiter": ("csv",),
    "pattern": ("lines",), "layout": ("jsonl", "json"),
}
LAYOUTS = ("BoolQ", "COPA", "MultiRC", "ReCoRD", "WiC", "WSC")  # the functions of raw.layouts
NUMBERED = ("tsv", "csv")  # the formats whose columns may be numbers
SPLITS = ("train", *(f"{kind}{number or ''}" for kind in ("valid", "test") for number in range(10)))

NAME = Kind("a name of at most 100 letters, digits, - and _ that does not begin with -",
            lambda value: text(100).accepts(value) and bool(re.fullmatch(r"\w[\w-]*", value, re.ASCII))
            and bool(value.strip("-_")))
COLUMN = Kind("a column's name, or its number from 1", lambda value: type(value) is int and 1 <= value <= 10_000
              or text(200).accepts(value) and value != "")
SOURCE_KINDS = {
    "file": text(), "format": choice(*FORMATS),
    "encoding": Kind("a text encoding that Python knows, such as utf-8, latin-1 or cp1252",
                     lambda value: text(40).accepts(value) and _is_text_encoding(value)),
    "columns": list_of(text(200), 1, 10_000),
    "delimiter": Kind("a single character, and no quote or line end", lambda value: isinstance(value, str)
                      and len(value) == 1 and value not in '"\r\n\0'),
    "pattern": text(),
    "layout": choice(*LAYOUTS),
}
DEFAULT_KINDS = {name: kind for name, kind in SOURCE_KINDS.items() if name != "file"}  # for all splits of a task
COUNT = integer(1, 10**8)
SPLIT_KINDS = SOURCE_KINDS | {"rows": COUNT, "groups": COUNT, "labelled": BOOLEAN, "ragged": BOOLEAN}


def format_of(source: Source) -> str | None:
    """The format of the file: the one that is named, or that of the file's ending; None for an unknown ending."""
    return source.format or next((form for ending, form in ENDINGS.items() if source.file.lower().endswith(ending)),
                                 None)


def split_of(name: str, content: Any, defaults: Mapping[str, Any]) -> Split:
    """The split that the content of ``splits.NAME`` describes. Raises Fault at the first mistake."""
    key = f"splits.{name}"
    if name not in SPLITS:
        raise Fault(key, f"{key}: a split is named train, valid, valid1 to valid9, test, or test1 to test9")
    if isinstance(content, int | float) and not isinstance(content, bool):
        if not 0 < content < 1 or name == "train":
            raise Fault(key, f"{key} is {content}: give a file, or for valid and test a part of train above 0 and "
                             "below 1")
        return Split(name, fraction=float(content), labelled=True)
    if isinstance(content, str):
        content = {"file": content}
    check_table(content, SPLIT_KINDS, ("file",), key)
    form = format_of(Source(content["file"], content.get("format", defaults.get("format"))))
    if form is None:
        raise Fault(key, f"{key}: {content['file']} has none of the endings {', '.join(ENDINGS)}: add format = "
                         f'"{FORMATS[0]}" or another of {", ".join(FORMATS)}')
    for field in content:
        if form not in FORMATS_WITH.get(field, FORMATS):
            raise Fault(f"{key}.{field}", f"{key}: {field} is for the format {' or '.join(FORMATS_WITH[field])}, and "
                                          f"the file's is {form}")
    fitting = {field: value for field, value in defaults.items() if form in FORMATS_WITH.get(field, FORMATS)}
    source = Source(**{field: tuple(value) if isinstance(value, list) else value
                       for field, value in (fitting | dict(content)).items() if field in SOURCE_KINDS})
    if form == "lines" and source.pattern is None:
        raise Fault(key, f'{key}: format = "lines" needs a pattern, such as pattern = "(?P<label>[^ ]+) (?P<text>.*)"')
    return Split(name, source, rows=content.get("rows"), groups=content.get("groups"),
                 labelled=content.get("labelled", True), ragged=content.get("ragged", False))


def source_content(source: Source) -> dict[str, Any]:
    """The plain content that describes the file, without what is the default."""
    return {field.name: list(value) if isinstance(value, tuple) else value for field in fields(Source)
            if (value := getattr(source, field.name)) != field.default}


def check_defaults(defaults: Mapping[str, Any], task: TaskDefinition) -> None:
    """Raises Fault for a setting of all splits that is for none of their files."""
    forms = {format_of(split.source) for split in task.splits if split.source}
    for name in defaults:
        if forms.isdisjoint(FORMATS_WITH.get(name, FORMATS)):
            raise Fault(name, f"{name} is for the format {' or '.join(FORMATS_WITH[name])}, and no file has it")


def check_columns(task: TaskDefinition) -> None:
    """Raises Fault where the columns contradict each other, or a split's file cannot have them."""
    if len({*task.sentences, task.label}) <= len(task.sentences):
        raise Fault("sentences", "sentences and label name a column twice")
    for split in task.splits:
        if not split.source:
            continue
        form, columns, needed = format_of(split.source), split.source.columns, task.columns_of(split)
        numbers = [column for column in needed if isinstance(column, int)]
        if numbers and (len(numbers) < len(needed) or columns or form not in NUMBERED):
            raise Fault("sentences", "sentences, label and groups: columns are all names, or all numbers of a tsv or "
                                     "csv file without header line, which has no columns = [...]")
        name = "pattern" if form == "lines" else "columns"
        known = _groups_of(split) if form == "lines" else columns or tuple(set(needed))
        for column in needed:
            if known.count(column) != 1:
                raise Fault(f"splits.{split.name}.{name}",
                            f"{name} should name {column!r} once, and names {', '.join(known) or 'none'}")


def _is_text_encoding(name: str) -> bool:
    try:
        return str(bytes("a\n", name), name) == "a\n"
    except (LookupError, ValueError):
        return False


def _groups_of(split: Split) -> tuple[str, ...]:
    """The names of the groups of the split's pattern. Raises Fault where it is no pattern."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of what a later Python reads in another way
            return tuple(re.compile(split.source.pattern).groupindex)
    except (re.error, FutureWarning, RecursionError, OverflowError) as error:
        raise Fault(f"splits.{split.name}.pattern", f"pattern is no regular expression ({error})") from error
