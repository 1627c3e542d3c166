"""Loads fairseq, and registers every part with it by name."""

import logging

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)  # asks for tensorboardX, which no one needs
_level = logging.getLogger().level
from . import criterions, models, optim, tasks  # noqa: E402, F401

logging.getLogger().setLevel(_level)  # importing fairseq lets every library's debug lines through
