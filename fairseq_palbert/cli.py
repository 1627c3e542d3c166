"""``palbert COMMAND``: every command of this package by one name."""

import argparse
from importlib import import_module

from .command import run
from .errors import UserError

# COMMAND: the module whose ``main`` it is, loaded when it is called, and what it does.
COMMANDS = {
    "data": ("preprocess.glue", "raw GLUE to binarized data"),
    "convert": ("fairseq_palbert.checkpoints.convert", "a pretrained encoder to a checkpoint that training starts "
                                                       "from"),
    "train": ("fairseq_palbert.experiment.cli", "preprocess, train and score one task"),
    "evaluate": ("fairseq_palbert.evaluation.cli", "score a checkpoint under exit rules"),
    "sweep": ("fairseq_palbert.analysis.sweep", "every exit rule over its whole range, from a recorded split"),
    "thresholds": ("fairseq_palbert.analysis.choose_threshold", "each exit rule's threshold by contract, from a "
                                                                "recorded split"),
    "keep": ("fairseq_palbert.report.keep", "a run's records to one file a method"),
    "report": ("fairseq_palbert.report.cli", "runs side by side: tables and plots"),
    "compare": ("fairseq_palbert.report.compare", "the difference between two runs, with its confidence interval"),
    "submission": ("fairseq_palbert.evaluation.submission", "GLUE's submission from runs, or the check of one"),
    "export": ("fairseq_palbert.checkpoints.export", "a trained checkpoint to a folder that is served, or for "
                                                     "transformers"),
    "predict": ("fairseq_palbert.serving.cli", "answer a stream of sentences with an exported model"),
}


def main(arguments: list[str] | None = None) -> None:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="palbert", usage="palbert COMMAND ...", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Text classifiers that ponder.\n\n"
        + "\n".join(f"  {name:{width}}  {does}" for name, (_, does) in COMMANDS.items()),
        epilog="palbert COMMAND --help has the flags of each, and an example.")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    module, _ = COMMANDS[options.command]
    try:
        command = import_module(module).main
    except ModuleNotFoundError as error:
        if error.name.startswith(__package__):
            raise
        raise UserError(f"palbert {options.command} needs {error.name}, which is not installed: see the extras in "
                        "pyproject.toml, such as pip install '.[train]'") from error
    command(options.arguments)


def palbert() -> None:
    """The console command."""
    run(main)
