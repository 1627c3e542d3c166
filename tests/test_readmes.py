"""Tests of the READMEs: length, links, named files, and tables of flags."""

import re
from pathlib import Path

import pytest

from fairseq_palbert.flag_tables import README as FLAGS
from fairseq_palbert.flag_tables import TABLES, with_tables

ROOT = Path(__file__).parents[1]
PAGES = [page for page in sorted(ROOT.rglob("*.md"))
         if not {".venv", "runs", "results"} & set(page.relative_to(ROOT).parts)]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)[^)]*\)")


def test_the_front_door_is_one_page():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert len(text.encode()) <= 12_000
    assert max(map(len, text.splitlines())) < 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    targets = LINK.findall(page.read_text())
    assert not [target for target in targets if not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_recipes_and_tests_exist(page):
    named = re.findall(r"(?<![\w/.])((?:recipes|tests|fairseq_palbert|preprocess)/[\w/.-]*\w)", page.read_text())
    placeholders = re.compile(r"[A-Z]{2,}(?=\.|$)")
    assert not [name for name in named if not placeholders.search(name.split("/")[-1]) and not (ROOT / name).exists()]


def test_the_tables_of_flags_are_those_of_the_dataclasses():
    page = FLAGS.read_text()
    assert with_tables(page) == page, "run: python -m fairseq_palbert.flag_tables"


def test_a_page_without_a_table_is_refused():
    with pytest.raises(ValueError, match="the page has the tables"):
        with_tables("<!-- flags of --task glue -->\n<!-- end of flags -->")
    assert len(TABLES) == 10
