"""What ``--task`` names."""

from . import glue  # noqa: F401
