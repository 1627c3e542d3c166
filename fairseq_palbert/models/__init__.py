"""What ``--arch`` names: the registered model and its presets."""

from . import architectures, palbert  # noqa: F401
