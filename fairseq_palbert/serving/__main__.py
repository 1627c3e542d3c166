"""``python -m fairseq_palbert.serving`` is ``palbert predict``."""

from ..command import run
from .cli import main

run(main)
