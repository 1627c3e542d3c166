"""The process around ``cli.main``."""

from ..command import run
from .cli import main

run(main)
