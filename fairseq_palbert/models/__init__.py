"""fairseq models registered by this plugin (``--arch``), and their presets."""

from . import architectures, palbert  # noqa: F401
