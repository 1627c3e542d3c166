"""``palbert evaluate``: score a checkpoint under exit rules. See ``cli``."""

from .. import plugin  # noqa: F401  before fairseq, whose import would be loud
