"""Optimizers with learning rates by part of the model."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import ponder_adam  # noqa: F401  registers the optimizer
