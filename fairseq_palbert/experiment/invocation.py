"""The record of an experiment's start: when, with which settings, on what code and versions."""

from .. import run_info
from .settings import Settings, given


def invocation(settings: Settings) -> dict:
    """``variables`` are the settings that were given, under the names of recipes/glue_task.sh."""
    variables = {name.upper(): " ".join(map(str, value)) if isinstance(value, list) else str(value)
                 for name, value in given(settings).items()}
    versions, machine = run_info.versions(), run_info.machine()
    return {
        "time": run_info.now(), "recipe": "fairseq_palbert.experiment", "arguments": [settings.task],
        "variables": variables, **(run_info.git_state() or {"commit": None, "dirty": None}),
        "python": versions.pop("python"), "packages": versions,
        "machine": machine["platform"], "cores": machine["cores"],
    }
