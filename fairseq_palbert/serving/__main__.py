"""The process around ``cli.main``."""

import signal

from .cli import main

signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it as it ends any filter, without a word
main()
