"""fairseq criterions registered by this plugin (``--criterion``)."""

from ..compat import quiet_fairseq  # noqa: F401  first
from . import act, multi_exit_classification, ponder_classification  # noqa: F401
