"""A scoring run in TensorBoard, beside the curves of its training."""

from pathlib import Path

import matplotlib.image
import numpy as np
from torch.utils.tensorboard.summary import hparams

from ..analysis.records import LayerReport
from ..analysis.tensorboard import open_writer
from .scoring import Scored


def write_summary(folder: Path, step: int, settings: dict[str, str | float], layers: LayerReport, scored: list[Scored],
                  images: list[Path]) -> None:
    """At ``step`` (the updates of the training): ``posterior/p_1``.. and ``prior/p_1``.. by layer where known, the
    histogram ``exit_layer/RULE`` and the scalars ``METRIC/RULE`` and ``mean_exit/RULE`` of each rule, and the plots.
    ``settings`` are the run's hyperparameters in the HPARAMS tab, beside those scalars.

    Raises UserError where the folder cannot be written.
    """
    with open_writer(folder) as writer:
        for name, values in (("posterior", layers.posterior or []), ("prior", layers.prior or [])):
            for n, value in enumerate(values, start=1):
                writer.add_scalar(f"{name}/p_{n}", value, step)
        scalars = {f"{name}/{one.rule.spec}": value for one in scored
                   for name, value in {**one.row["metrics"], "mean_exit": one.row["mean_exit"]}.items()}
        for name, value in scalars.items():
            writer.add_scalar(name, value, step)
        for summary in hparams(settings, scalars):
            writer.file_writer.add_summary(summary)
        edges = np.arange(layers.depth + 1) + 0.5  # one bin a layer
        for one in scored:
            writer.add_histogram(f"exit_layer/{one.rule.spec}", one.decisions.exit_layers, step, bins=edges)
        for image in images:
            writer.add_image(image.stem, matplotlib.image.imread(image), step, dataformats="HWC")
