"""The process around ``cli.main``. Importing fairseq lets every library's debug lines through: they are stopped."""

import logging

logging.getLogger().setLevel(logging.WARNING)
logging.getLogger("fairseq_palbert").setLevel(logging.INFO)

from .cli import main  # noqa: E402

main()
