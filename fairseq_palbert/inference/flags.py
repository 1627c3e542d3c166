"""Flags shared by all commands that run the engine."""

import argparse
from dataclasses import replace

import torch

from ..errors import UserError
from ..modules.pondering import PonderingClassifier
from ..numbers_from_text import check_range, integer
from .for_inference import DTYPES
from .window import Window

LARGEST_SIZE = 10**9
SIZES = {
    "batch_size": ("sentences", "sentences at a time (default: as many as fill the window)"),
    "window_tokens": ("tokens", "tokens of active sentences (default: 16384 on a CPU, 131072 on a GPU, fewer where "
                                "memory is short)"),
    "step_tokens": ("step_tokens", "tokens that go through a layer at once (default: 1024 on a CPU, 16384 on a GPU, "
                                   "fewer where memory is short)"),
}


def add_engine_flags(options: argparse.ArgumentParser) -> None:
    for name, (_, help_text) in SIZES.items():
        options.add_argument(f"--{name.replace('_', '-')}", type=integer, metavar="N", help=help_text)
    options.add_argument("--dtype", default="float32", choices=DTYPES,
                         help="number format of the network; int8: of the encoder's weights (default: %(default)s)")
    options.add_argument("--device", default="cpu", help="torch device to run on (default: %(default)s)")


def check_sizes(options: argparse.Namespace) -> None:
    """Raises UserError for a size that is not from 1 to ``LARGEST_SIZE``."""
    for name in SIZES:
        if (size := getattr(options, name)) is not None:
            check_range(f"--{name.replace('_', '-')}", size, 1, LARGEST_SIZE)


def device_of(name: str) -> torch.device:
    """The CPU or CUDA device of that name, such as cuda:1. Raises UserError where there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"device {name!r:.40}: torch has no such device; use cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"device {name!r}: this code runs on cpu and cuda alone; use one of them")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device {name!r}: torch finds {torch.cuda.device_count()} CUDA devices here; use another, or "
                        "cpu")
    return device


def window_of(options: argparse.Namespace, network: PonderingClassifier, device: torch.device) -> Window:
    """The window of the flags; sizes that they leave open fit the network on its device (``fitting_window``)."""
    given = {field: size for name, (field, _) in SIZES.items() if (size := getattr(options, name)) is not None}
    return replace(fitting_window(network, device), **given)


def fitting_window(network: PonderingClassifier, device: torch.device) -> Window:
    """The window that suits a network already on the device and the memory that is free."""
    shape = network.encoder.shape
    return Window.fitting(shape.hidden, shape.ffn_hidden, next(network.encoder.parameters()).dtype, device)
