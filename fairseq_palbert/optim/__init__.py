"""Optimizers with learning rates by part of the model."""

from . import ponder_adam  # noqa: F401  registers the optimizer
