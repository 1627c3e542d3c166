"""fairseq models registered by this plugin (``--arch``), and their presets."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import architectures, palbert  # noqa: F401
