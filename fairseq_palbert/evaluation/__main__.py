"""Run ``cli.main`` as ``python -m fairseq_palbert.evaluation``."""

from ..command import run
from .cli import main

run(main)
