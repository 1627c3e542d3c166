"""Lines with the time, on stderr."""

import sys
import time


def log(message: str) -> None:
    print(time.strftime("%F %T"), "|", message, file=sys.stderr, flush=True)
