"""Tests of what makes the settings of two seeds differ."""

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.report.same_settings import check_same_settings

FIRST = ("fairseq-train /a/data/RTE --save-dir /a/seed1/checkpoints --seed 1 --lr 1e-4 --adam-betas '(0.9, 0.98)' "
         "--finetune-from-model /a/vanilla/seed1/checkpoints/best.pt --lambda-module linear").split()


def check(change):
    check_same_settings("RUN", {"seed1": FIRST, "seed2": change(FIRST), "seed3": []})


@pytest.mark.parametrize("change", [
    lambda words: [word.replace("/a/", "$RUN_DIR/").replace("seed1", "seed2") for word in words],
    lambda words: [*words, "--seed", "2", "--num-workers", "0", "--cpu", "--lambda-width", "768"],
    lambda words: [*words[:1], "--lr", "5", "--lr=0.0001", *words[2:]],
    lambda words: [*words[:2], *words[6:], *words[2:6]],
], ids=["places", "seed and machine", "repeated flag", "order"])
def test_seed_places_and_machine_may_differ(change):
    check(change)


@pytest.mark.parametrize("change, message", [
    (lambda words: [*words, "--lr", "2e-5"], "RUN: seed2 was trained with --lr 2e-05, and seed1 with --lr 0.0001: "),
    (lambda words: [*words, "--fp16"], "with --fp16, and seed1 without --fp16"),
    (lambda words: words[:-2], "without --lambda-module, and seed1 with --lambda-module linear"),
    (lambda words: [word.replace("vanilla", "pabee").replace("best", "last") for word in words],
     "with --finetune-from-model checkpoints/last.pt, and seed1 with --finetune-from-model checkpoints/best.pt"),
])
def test_other_settings_are_refused_in_a_line(change, message):
    with pytest.raises(UserError, match=message):
        check(change)


def test_a_report_refuses_them(make_run):
    folder = make_run("palbert", "SST-2", "fixed:4")
    with open(folder / "seed2/command", "a") as command:
        command.write(" --lr 2e-5")
    with pytest.raises(UserError, match="palbert/SST-2, SST-2: seed2 was trained with --lr 2e-05, and seed1 without"):
        read_runs([folder], "valid")
