"""What ``--task`` names."""

from . import glue_task as glue  # noqa: F401
