"""The process around ``cli.main``."""

import logging

logging.getLogger("fairseq_palbert").setLevel(logging.INFO)

from .cli import main  # noqa: E402

main()
