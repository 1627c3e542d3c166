"""Tests of the plots: panels, a missing prior, and matplotlib's settings."""

import matplotlib.image
import pytest

from fairseq_palbert.analysis.records import LayerReport
from fairseq_palbert.evaluation.plots import plot_exit_histogram, plot_posterior
from fairseq_palbert.evaluation.scoring import Scored
from fairseq_palbert.exits.registry import parse_rule

ROW = {"exit_histogram": [1, 2, 0, 3], "examples": 6, "mean_exit": 2.8, "metrics": {}}


@pytest.mark.parametrize("count, panel_rows", [(1, 1), (2, 1), (3, 2), (5, 3)])
def test_the_histogram_has_a_panel_a_rule(tmp_path, count, panel_rows):
    scored = [Scored(parse_rule(f"q_exit:0.{i}"), None, ROW) for i in range(1, count + 1)]
    plot_exit_histogram(tmp_path / "plot.png", "title", scored)
    height, width, _ = matplotlib.image.imread(tmp_path / "plot.png").shape
    assert (width, height) == (720 * min(count, 2), 100 + 400 * panel_rows)


@pytest.mark.parametrize("prior", [None, [0.5, 0.25, 0.25]])
def test_a_training_without_a_prior_has_a_posterior_all_the_same(tmp_path, prior):
    plot_posterior(tmp_path / "plot.png", "title", LayerReport(3, [0.2, 0.3, 0.5], prior, None))
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_plots_leave_matplotlib_s_settings_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    plot_posterior(tmp_path / "plot.png", "title", LayerReport(2, [0.5, 0.5], None, None))
    assert dict(matplotlib.rcParams) == before
