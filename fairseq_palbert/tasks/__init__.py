"""fairseq tasks registered by this plugin."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import parity, sentence_task  # noqa: F401
