"""``palbert evaluate``: score a checkpoint under exit rules. See ``cli``."""

from .. import plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
