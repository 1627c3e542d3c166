"""fairseq criterions registered by this plugin (``--criterion``)."""

from . import multi_exit_classification, ponder_classification  # noqa: F401
