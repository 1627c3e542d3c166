"""Early-exit text classifiers with a halting distribution, as a fairseq ``--user-dir``.

Importing this package registers every part with fairseq if fairseq is loaded already, as in its commands. Other
programs import ``fairseq_palbert.plugin`` to register them. Serving needs no fairseq: see ``fairseq_palbert.serving``.
"""

import sys

if sys.modules.get("fairseq"):
    from . import plugin

    if "fairseq_cli" in sys.modules:  # a command of fairseq runs, not another program
        plugin.exit_on_user_errors()
