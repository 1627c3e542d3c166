"""What ``--criterion`` names."""

from . import multi_exit_classification, ponder_classification  # noqa: F401
