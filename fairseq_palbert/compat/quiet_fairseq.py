"""Import fairseq without its side effects on logging; what imports fairseq imports this first.

fairseq hints that tensorboardX is missing, and enables the debug lines of every library.
"""

import logging

logging.getLogger("fairseq.tasks.text_to_speech").setLevel(logging.WARNING)
_level = logging.getLogger().level
import fairseq.tasks  # noqa: E402, F401

logging.getLogger().setLevel(_level)
