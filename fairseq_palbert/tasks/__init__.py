"""fairseq tasks registered by this plugin."""

from . import glue_task as glue  # noqa: F401
