"""Old name of ``fairseq_palbert.checkpoints.convert``, kept for one version."""

import sys

from fairseq_palbert.checkpoints.convert import main
from fairseq_palbert.command import run

if __name__ == "__main__":
    print("preprocess.convert_checkpoint is now fairseq_palbert.checkpoints.convert: use that name", file=sys.stderr)
    run(main)
