"""``palbert COMMAND``: the entry point of every command."""

import argparse
from importlib import import_module

from .command import run
from .errors import UserError

# command: its module, imported only when the command is called, and its description
COMMANDS = {
    "data": ("preprocess.data", "convert raw files to binarized data"),
    "convert": ("fairseq_palbert.checkpoints.convert",
                "convert a pretrained encoder to a checkpoint that training starts from"),
    "train": ("fairseq_palbert.experiment.cli", "preprocess, train and score one task"),
    "evaluate": ("fairseq_palbert.evaluation.cli", "score a checkpoint under exit rules"),
    "sweep": ("fairseq_palbert.analysis.sweep", "score every exit rule at every threshold, on a recorded split"),
    "thresholds": ("fairseq_palbert.analysis.choose_threshold",
                   "choose each exit rule's threshold on a recorded split"),
    "keep": ("fairseq_palbert.report.keep", "copy the records of a run to one file per method"),
    "report": ("fairseq_palbert.report.cli", "compare many runs in tables and plots"),
    "compare": ("fairseq_palbert.report.compare",
                "estimate the difference between two runs, with its confidence interval"),
    "submission": ("fairseq_palbert.evaluation.submission", "write GLUE's submission from runs, or check one"),
    "export": ("fairseq_palbert.checkpoints.export",
               "export a trained checkpoint for serving or for transformers"),
    "predict": ("fairseq_palbert.serving.cli", "classify a stream of sentences with an exported model"),
}


def main(arguments: list[str] | None = None) -> None:
    width = max(map(len, COMMANDS))
    parser = argparse.ArgumentParser(
        prog="palbert", usage="palbert COMMAND ...", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Early-exit text classifiers on fairseq.\n\n"
        + "\n".join(f"  {name:{width}}  {description}" for name, (_, description) in COMMANDS.items()),
        epilog="palbert COMMAND --help lists the flags of a command and gives an example.")
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
