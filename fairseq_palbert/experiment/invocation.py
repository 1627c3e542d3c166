"""The record of an experiment's start: time, settings, code and versions."""

from .. import run_info
from .settings import Settings, given


def invocation(settings: Settings) -> dict:
    """The record as JSON values; ``variables`` are the given settings, named as in recipes/glue_task.sh."""
    variables = {name.upper(): " ".join(map(str, value)) if isinstance(value, list) else str(value)
                 for name, value in given(settings).items()}
    versions, machine = run_info.versions(), run_info.machine()
    return {
        "time": run_info.now(), "recipe": "fairseq_palbert.experiment", "arguments": [settings.task],
        "variables": variables, **(run_info.git_state() or {"commit": None, "dirty": None}),
        "python": versions.pop("python"), "packages": versions,
        "machine": machine["platform"], "cores": machine["cores"],
    }
