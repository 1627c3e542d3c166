"""``python -m fairseq_palbert.serving`` is ``palbert predict``."""

import sys

from ..cli import main
from ..command import run

run(lambda: main(["predict", *sys.argv[1:]]))
