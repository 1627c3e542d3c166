"""What ``--criterion`` names."""

from . import ponder_classification  # noqa: F401
