"""fairseq tasks registered by this plugin."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import glue_task as glue  # noqa: F401
from . import parity  # noqa: F401
