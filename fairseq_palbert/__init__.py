"""Early-exit text classifiers that ponder, as a fairseq ``--user-dir``. Importing it registers every part by name."""

import logging
from importlib.util import find_spec

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # asks for tensorboardX, which no one needs
_level = logging.getLogger().level
if find_spec("fairseq"):  # a trained model also runs where fairseq is not installed
    from . import criterions, models, optim, tasks  # noqa: F401
logging.getLogger().setLevel(_level)  # importing fairseq lets every library's debug lines through
