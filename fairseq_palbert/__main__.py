"""``python -m fairseq_palbert`` is ``palbert``."""

from .cli import palbert

palbert()
