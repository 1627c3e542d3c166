"""Early-exit text classifiers that ponder, as a fairseq ``--user-dir``. Importing it registers every part by name."""

from importlib.util import find_spec

if find_spec("fairseq"):  # a trained model also runs where fairseq is not installed
    from . import criterions, models, optim, tasks  # noqa: F401
