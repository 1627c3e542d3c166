"""Write a scoring run to TensorBoard, beside the curves of its training."""

from pathlib import Path

import matplotlib.image
import numpy as np
from torch.utils.tensorboard.summary import hparams

from ..analysis.records import LayerReport
from ..analysis.tensorboard import replacing_events
from .scoring import Scored


def write_summary(folder: Path, step: int, settings: dict[str, str | float], layers: LayerReport, scored: list[Scored],
                  images: list[Path]) -> None:
    """Write everything at ``step``, the number of training updates.

    ``posterior/p_1``.. and ``prior/p_1``..: by layer, where known. ``exit_layer/RULE``: a histogram. ``METRIC/RULE``
    and ``mean_exit/RULE``: scalars. ``images``: the plots. ``settings``: the run's hyperparameters, shown in the
    HPARAMS tab beside those scalars.

    An earlier call's values in ``folder`` are replaced. Raises UserError where the folder cannot be written.
    """
    with replacing_events(folder) as writer:
        for name, values in (("posterior", layers.posterior or []), ("prior", layers.prior or [])):
            for n, value in enumerate(values, start=1):
                writer.add_scalar(f"{name}/p_{n}", value, step)
        scalars = {f"{name}/{result.rule.spec}": value for result in scored
                   for name, value in {**result.row["metrics"], "mean_exit": result.row["mean_exit"]}.items()}
        for name, value in scalars.items():
            writer.add_scalar(name, value, step)
        for summary in hparams(settings, scalars):
            writer.file_writer.add_summary(summary)
        edges = np.arange(layers.depth + 1) + 0.5  # one bin a layer
        for result in scored:
            writer.add_histogram(f"exit_layer/{result.rule.spec}", result.decisions.exit_layers, step, bins=edges)
        for image in images:
            writer.add_image(image.stem, matplotlib.image.imread(image), step, dataformats="HWC")
