"""Tests of the command line of experiments."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.cli import check_modes


@pytest.mark.parametrize("argv", [["task=RTE", "-m", "--cfg", "job"], ["--multirun", "-c", "job"],
                                  ["--info", "--cfg=job"]])
def test_two_modes_of_hydra_are_refused(argv):
    with pytest.raises(UserError, match="--.* and --.* exclude each other: give one of them"):
        check_modes(argv)


@pytest.mark.parametrize("argv", [["task=RTE"], ["-m", "--multirun", "lr=1e-5,2e-5"], ["--cfg", "job", "-p", "a"]])
def test_one_mode_passes(argv):
    check_modes(argv)
