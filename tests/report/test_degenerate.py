"""Tests of degenerate results, which are named below the first table."""

from dataclasses import replace

import torch

from fairseq_palbert.report.degenerate import degenerate
from fairseq_palbert.report.page import write_report
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.report.task import Task
from tests.fixtures.recorded_runs import write_run


def task(folder, name: str, rule: str = "q_exit:0.5", damaged=(1, 2), **values) -> Task:
    """Returns a task of one method and two seeds.

    ``values`` are ``logits`` or ``halting_logits`` of all examples in the ``damaged`` seeds.
    """
    def change(recorded):
        tensors = {tensor: torch.tensor(value).expand_as(getattr(recorded.recording, tensor))
                   for tensor, value in values.items()}
        return replace(recorded, recording=replace(recorded.recording, **tensors))

    for seed in (1, 2):
        write_run(folder, "palbert", name, rule, "fixed:4", seeds=[seed], halts=True,
                  **({"change": change} if seed in damaged else {}))
    return Task(name, read_runs([folder / "palbert" / name], "valid")[name])


def test_sound_results_have_no_remark(tmp_path):
    assert degenerate([task(tmp_path, "SST-2"), task(tmp_path, "STS-B"), task(tmp_path, "CoLA")]) == ""


def test_a_method_that_never_exits_is_named(tmp_path):
    assert degenerate([task(tmp_path, "SST-2", halting_logits=-9.0)]) == (
        "**Degenerate.** palbert on SST-2 never exits early.")


def test_one_class_and_no_correlation_are_named_with_their_seeds(tmp_path):
    assert degenerate([task(tmp_path, "SST-2", logits=[0.0, 1.0], damaged=(2,))]) == (
        "**Degenerate.** palbert on SST-2 answers every example with one class (seed2).")
    assert degenerate([task(tmp_path / "other", "CoLA", logits=[1.0, 0.0])]) == (
        "**Degenerate.** palbert on CoLA answers every example with one class; palbert on CoLA has a Matthews "
        "correlation of 0.")


def test_a_fixed_exit_does_not_count_as_one_that_never_exits(tmp_path):
    assert degenerate([task(tmp_path, "SST-2", rule="fixed:3")]) == ""


def test_the_remark_stands_below_the_table(tmp_path):
    shown = task(tmp_path, "SST-2", halting_logits=-9.0)
    (tmp_path / "out").mkdir()
    write_report(tmp_path / "out", {"SST-2": shown.runs}, "palbert report", {}, 2)
    front = (tmp_path / "out" / "front.md").read_text(encoding="utf-8")
    assert front.endswith("|\n\n**Degenerate.** palbert on SST-2 never exits early.\n")
    assert front in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
