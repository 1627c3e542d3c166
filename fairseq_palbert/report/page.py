"""The report: a Markdown page with its plots beside it, the same as one HTML page, and the first table alone."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import markdown

from . import figures, provenance, tables
from .front import front
from .runs import Run
from .sentences import hardest_and_easiest
from .style import colours
from .task import Task

MARKDOWN, HTML, FRONT, FRONT_PLOT = "README.md", "report.html", "front.md", "front.svg"
TEMPLATE = Path(__file__).with_name("page.html")
Texts = Mapping[str, Sequence[tuple[str, ...]]]


def write_report(folder: Path, tasks: dict[str, list[Run]], command: str, texts: Texts, resamples: int,
                 remarks: str = "") -> None:
    """Writes README.md, its plots, report.html, and front.md, the first table alone. ``command`` is the one that
    makes them; ``texts``: of a task, the sentences of every row of its split; a task may lack them. ``remarks``:
    Markdown that goes before the tasks."""
    tasks = [Task(name, runs) for name, runs in tasks.items()]
    look = colours(list(dict.fromkeys(run.method for task in tasks for run in task.runs)))
    first = tables.front(tasks)
    front(folder / FRONT_PLOT, tasks, look)
    (folder / FRONT).write_text(first + "\n")
    sections = [_introduction(tasks, command), first, f"![Score against layers]({FRONT_PLOT})"]
    sections += filter(None, [_claims(tasks, resamples), remarks.strip()])
    sections += [_section(folder, task, look, texts.get(task.name)) for task in tasks]
    page = "\n\n".join(sections) + "\n"
    (folder / MARKDOWN).write_text(page)
    (folder / HTML).write_text(_as_html(page, folder))


def _introduction(tasks: list[Task], command: str) -> str:
    return f"""# Early exits, side by side

{', '.join(task.name for task in tasks)}. Everything here is computed from recorded splits by one command:

```
{command}
```

{provenance.selection(tasks)}

**At the thresholds for half of the layers.** Score in points, mean ± sample sd over seeds; *sd of exits* is that of the
exit layer over the examples of a seed; *layer speed-up* is the deepest model's layers over the mean exit. In the plot a
line is a method's main rule over all its thresholds, a mean over seeds, and where depth is claimed with a band of one
sd over seeds."""


def _claims(tasks: list[Task], resamples: int) -> str:
    """Those of methods that ``claims_depth``; empty where there are none."""
    about = {
        "Is depth earned?": (tables.depth_is_earned,
                             """At the thresholds chosen for N/2 layers: the sd of the exit layers of
each seed, and the score minus that of the same model's fixed exits at the same mean depth (on the straight line between
two layers), of the static model of N/2 layers, and of the vanilla model of N layers."""),
        "Q-exit against other rules on the same models": (tables.areas,
                                                          """The area is the mean score over mean exit layers
from N/3 to 2N/3, on straight lines between all thresholds of the rule: no threshold is chosen for it. Confidence orders
the answers of two classes as entropy does. Patience for regression moves its tolerance, at the scored P or at 1."""),
        "Sampling < Q-exit ≤ expectation": (tables.orderings, """Three readings of one posterior: sampling in its exact
expectation, Q-exit at its median (q = 0.5), and the mean over all layers."""),
    }
    found = {title: (table(tasks, resamples), text) for title, (table, text) in about.items()}
    sections = [f"### {title}\n\n{text}\n\n{table}" for title, (table, text) in found.items() if table]
    if not sections:
        return ""
    return "\n\n".join([f"""## Claims

Differences in points, with paired bootstrap 95 % intervals: {resamples:,} resamples of examples, all seeds of an
example together, depths taken on the same draw. They say nothing of other seeds. In the mean of tasks each task is
resampled by itself.""", *sections])


def _section(folder: Path, task: Task, look: dict[str, str], texts: Sequence | None) -> str:
    parts = [f"## {task.name}", provenance.caption(task), provenance.origins(task)]
    if task.chosen:
        parts += ["### At chosen thresholds", tables.chosen_thresholds(task)]
    parts += ["### As scored", AS_SCORED, tables.usual_settings(task)]
    if task.adaptive:
        parts += ["### Plots", *_plots(folder, task, look)]
        remark = [] if texts else ["Rows of the split by number; with `--glue-dir` their text is shown."]
        parts += ["### Hardest and easiest", *remark, hardest_and_easiest(task, texts)]
    return "\n\n".join([*parts, "### Commands", f"```\n{provenance.commands(task)}\n```"])


AS_SCORED = """*FLOPs* are those of a sentence's matrix products, heads and lambda modules included; *speed-up* is the
measured time of the method's own last layer over the rule's, where both were timed; *gained* and *lost* are the
examples answered better and worse than by the last layer; *ECE* and *AUROC* (of failure prediction) are of the answers'
largest probability."""


def _plots(folder: Path, task: Task, look: dict[str, str]) -> list[str]:
    """Draws what the task has, and says where."""
    wanted = {"exits": "Where examples leave", "examples": "Depth against correctness and length"}
    if task.halting:
        wanted["posterior"] = "Posterior and prior of the exit layer"
    for name in wanted:
        DRAW[name](_plot(folder, task, name), task, look)
    return [f"![{task.name}: {title}]({_plot(folder, task, name).name})" for name, title in wanted.items()]


def _plot(folder: Path, task: Task, name: str) -> Path:
    return folder / f"{task.name}_{name}.svg"


DRAW = {"exits": figures.exit_histograms, "examples": figures.depth_against_examples, "posterior": figures.posteriors}


def _as_html(page: str, folder: Path) -> str:
    """The page with its plots inside it."""
    body = markdown.markdown(page, extensions=["tables", "fenced_code"])
    body = re.sub(r'src="([^"]+)"', lambda match: f'src="{_data(folder / match[1])}"', body)
    return TEMPLATE.read_text().replace("{body}", body)


def _data(image: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(image.read_bytes()).decode()
