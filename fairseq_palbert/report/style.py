"""The style of a report's plots: one colour a method, in all of them."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..evaluation.plots import STYLE

# Okabe and Ito's palette without yellow, and without black, which fixed models have; then four of Tol's muted one.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#332288", "#882255", "#999933", "#44AA99")
PANEL = (3.2, 3.0)  # inches
LEGEND_LINE, LEGEND_HANDLE, LETTER = 0.2, 0.6, 0.08
# Text stays text, and equal figures are equal files.
SVG = {"svg.fonttype": "none", "svg.hashsalt": "fairseq_palbert", "font.size": 9, "axes.titlesize": 9,
       "font.sans-serif": ["DejaVu Sans"], "legend.frameon": False}
BEYOND_HUNDREDTHS = re.compile(r"(?<=\.\d\d)\d+")


def colours(methods: list[str]) -> dict[str, str]:
    return {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}


@contextmanager
def panels(path: Path, columns: int, lines: int = 1, **shared) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its panels, line by line, to draw on; saved as SVG unless the block raises."""
    with matplotlib.rc_context(STYLE | SVG), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # text stays text, and readers have other fonts
        figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, **shared)
        yield figure, list(grid.flat)
        _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    """Save with coordinates in hundredths of a point and without indentation, which takes a third off the size."""
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    lines = [line.lstrip() for line in svg.getvalue().splitlines(keepends=True)]
    short = [line if line.startswith("<text") else BEYOND_HUNDREDTHS.sub("", line) for line in lines]
    path.write_text("".join(short), encoding="utf-8")


def legend(figure: Figure, handles: list[Artist]) -> None:
    """Draw a legend below the panels in as many columns as fit; the figure grows by its lines."""
    longest = max(len(handle.get_label()) for handle in handles)
    columns = max(1, int(figure.get_figwidth() / (LEGEND_HANDLE + LETTER * longest)))
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower left", ncols=columns)


def layers_axis(panel: Axes, depth: int) -> None:
    """An axis of layers 1..N, with ticks at whole layers."""
    panel.set_xlim(0.5, depth + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
