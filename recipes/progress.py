"""Prints the progress of training from the lines of its log, as they come on standard input."""

import re
import sys

from fairseq_palbert.command import run

VALUE = re.compile(r"(\w+)=([^,\s]+)")


def progress(line: str) -> str | None:
    """None for a line that tells of no update with PALBERT's objective.

    ``... | train_inner | epoch 001: 50 / 750 loss=0.9, q_exit_depth=2.5, accuracy=0.6, num_updates=50, ...`` ->
    update 50: loss 0.9, accuracy 0.6, mean exit layer 2.5
    """
    values = dict(VALUE.findall(line)) if "| train_inner |" in line else {}
    if not {"num_updates", "loss", "accuracy", "q_exit_depth"} <= values.keys():
        return None
    return (f"update {values['num_updates']}: loss {values['loss']}, accuracy {values['accuracy']}, mean exit layer "
            f"{values['q_exit_depth']}")


def main() -> None:
    for line in sys.stdin:
        if told := progress(line):
            print(told, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
