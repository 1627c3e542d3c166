"""Tests of the plots of one task."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from fairseq_palbert.report import figures
from fairseq_palbert.report.runs import read_runs
from fairseq_palbert.report.task import Task


def two_layers(recorded):
    return replace(recorded, encoder=replace(recorded.encoder, layers=2),
                   recording=replace(recorded.recording, logits=recorded.recording.logits[:2]))


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """drawn(plot, task, colours) returns the panels of the plot."""
    kept, panels = [], figures.panels

    @contextmanager
    def keeping(*arguments, **shared):
        with panels(*arguments, **shared) as (figure, grid):
            yield figure, grid
            kept.extend(grid)

    def draw(plot, *arguments):
        plot(tmp_path / "plot.svg", *arguments)
        return kept

    monkeypatch.setattr(figures, "panels", keeping)
    return draw


@pytest.mark.parametrize("shallow", ["static2", "pabee"])
def test_a_shallow_first_run_cuts_no_deeper_one(make_run, drawn, shallow):
    folders = [make_run(shallow, "SST-2", "patience:1", change=two_layers),
               make_run("palbert", "SST-2", "q_exit:0.9", "fixed:4", halts=True)]
    task = Task("SST-2", read_runs(folders, "valid")["SST-2"])
    by_exit, by_length = drawn(figures.depth_against_examples, task, {shallow: "black", "palbert": "red"})
    assert by_exit.get_xlim() == by_length.get_ylim() == (0.5, 4.5)
    assert max(x for line in by_exit.lines for x in line.get_xdata()) == 4
