"""Early-exit text classifiers that ponder, as a fairseq ``--user-dir``.

Where fairseq is loaded before, as by its commands, importing this registers every part by name. A program of one's own
imports ``fairseq_palbert.plugin`` for that; a trained model is served without, see ``fairseq_palbert.serving``.
"""

import sys

if sys.modules.get("fairseq"):
    from . import plugin

    if "fairseq_cli" in sys.modules:  # one of its commands runs, as against a program of one's own
        plugin.exit_on_user_errors()
