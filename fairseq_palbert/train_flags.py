"""Parse flags as fairseq-train does, to find a mistake before any work.

    python -m fairseq_palbert.train_flags DATA --task glue --arch palbert_roberta_tiny ...
"""

from typing import NoReturn

from fairseq import options

from . import command, plugin  # noqa: F401  registers what the flags name
from .errors import UserError


def main() -> None:
    """Raises UserError with the message of fairseq's parser."""
    parser = options.get_training_parser()
    parser.error = _refuse
    options.parse_args_and_arch(parser)


def _refuse(message: str) -> NoReturn:
    raise UserError(message)


if __name__ == "__main__":
    command.run(main)
