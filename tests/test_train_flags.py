"""A mistake in flags of fairseq-train is one line, in the words of fairseq's own parser."""

import sys

import pytest

from fairseq_palbert import train_flags
from fairseq_palbert.errors import UserError

FLAGS = ("DATA", "--task", "glue", "--arch", "palbert_roberta_tiny", "--optimizer", "ponder_adam",
         "--criterion", "ponder_classification", "--lr-scheduler", "polynomial_decay")


@pytest.mark.parametrize("words, message", [
    (("--prior", "uniform", "--encoder-layers=3", "--adam-betas", "(0.9,0.98)"), None),
    (("--wormup-updates", "3"), "unrecognized arguments: --wormup-updates 3"),
    (("--prior", "flat"), "argument --prior: invalid choice: 'flat'"),
    (("--lambda-depth", "deep"), "argument --lambda-depth: invalid int value: 'deep'"),
])
def test_flags(monkeypatch, words, message):
    monkeypatch.setattr(sys, "argv", ["train_flags", *FLAGS, *words])
    if message is None:
        train_flags.main()
    else:
        with pytest.raises(UserError, match=message):
            train_flags.main()
