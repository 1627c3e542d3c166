"""Fixture: a check that damage to an input is noticed or changes nothing.

FUZZ_MUTATIONS (default 6) is the number of damaged copies of each input; FUZZ_FROM (default 0) is the first seed.
"""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.outcomes import outcome_of
from tests.serving.conftest import exported, texts, vocabulary  # noqa: F401

FIRST = int(os.environ.get("FUZZ_FROM", 0))
SEEDS = range(FIRST, FIRST + int(os.environ.get("FUZZ_MUTATIONS", 6)))


@pytest.fixture
def check(tmp_path):
    """check(folder, answer, only="**/*", right=equal) damages copies of the folder, one for each seed.

    ``answer(copy)`` reads the copy. ``right(whole, given, copy)`` says whether its answer ``given`` is right, where
    ``whole`` is the answer of the undamaged folder. At least one damage must be refused.
    """

    def run(folder: Path, answer, only: str = "**/*", right=lambda whole, given, copy: given == whole) -> None:
        whole, answered = answer(folder), 0
        for seed in SEEDS:
            copy = tmp_path / f"copy{seed}"
            how = mutated(folder, copy, seed, only)
            try:
                outcome = outcome_of(partial(answer, copy))
                assert outcome.line or right(whole, outcome.answer, copy), "a wrong answer, and no word"
            except BaseException as error:
                error.add_note(f"seed {seed}: {how}")
                raise
            answered += outcome.line is None
            shutil.rmtree(copy)
        assert answered < len(SEEDS), "no damage was noticed: is the input read at all?"

    return run


