"""Run ``cli.main`` as ``python -m fairseq_palbert.experiment``."""

from ..command import run
from .cli import main

run(main)
