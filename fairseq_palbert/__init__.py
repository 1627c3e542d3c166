"""Early-exit text classifiers with a halting distribution, as a fairseq ``--user-dir``.

Importing this package registers every part with fairseq if fairseq is loaded already, as in its commands. Other
programs import ``fairseq_palbert.plugin`` to register them. Serving needs no fairseq: see ``fairseq_palbert.serving``.
"""

import os
import sys

# ``python -m`` puts the current folder first, where a user's model folder may hold a json.py: it stays only if we are
# in it
if sys.argv[:1] == ["-m"] and sys.path[0] == os.getcwd() != os.path.dirname(os.path.dirname(__file__)):
    del sys.path[0]

if sys.modules.get("fairseq"):
    from . import plugin

    if "fairseq_cli" in sys.modules:  # a command of fairseq runs, not another program
        plugin.guard_commands()
        os.environ["PYTHONSAFEPATH"] = "1"  # nor do workers, which it spawns, look into the current folder
