"""fairseq models registered by this plugin (``--arch``), and their presets."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import act_rnn, architectures, palbert, ponder_rnn  # noqa: F401
