"""The report: one Markdown page with its plots beside it, and the same as one HTML page that holds them."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import markdown

from . import figures, provenance, tables, tradeoffs
from .ordering import ordering, sentence
from .runs import Run
from .sentences import hardest_and_easiest
from .style import colours
from .task import Task

MARKDOWN, HTML = "README.md", "report.html"
TEMPLATE = Path(__file__).with_name("page.html")
Texts = Mapping[str, Sequence[tuple[str, ...]]]


def write_report(folder: Path, tasks: dict[str, list[Run]], command: str, texts: Texts, resamples: int,
                 remarks: str = "") -> None:
    """Writes README.md, its plots, and report.html. ``command`` is the one that makes them; ``texts``: of a task, the
    sentences of every row of its split; a task may lack them. ``remarks``: Markdown that goes before the tasks."""
    methods = list(dict.fromkeys(run.method for runs in tasks.values() for run in runs))
    look = colours(methods)
    sections = [_introduction(tasks, command, resamples), *filter(None, [remarks.strip()])]
    sections += [_section(folder, Task(name, runs), look, texts.get(name), resamples) for name, runs in tasks.items()]
    page = "\n\n".join(sections) + "\n"
    (folder / MARKDOWN).write_text(page)
    (folder / HTML).write_text(_as_html(page, folder))


def _introduction(tasks: dict[str, list[Run]], command: str, resamples: int) -> str:
    return f"""# Early exits, side by side

{', '.join(tasks)}. Everything here is computed from recorded splits by one command:

```
{command}
```

**Tables.** A method's rules stand at the settings that it was scored with. *FLOPs* are those of a sentence's matrix products,
heads and lambda modules included; *speed-up* is the measured time of the method's own last layer over the rule's, where both
were timed; *gained* and *lost* are the examples answered better and worse than by the last layer; *ECE* and *AUROC* (of
failure prediction) are of the answers' largest probability. Intervals are paired bootstrap 95 % intervals ({resamples:,}
resamples of examples, all seeds of an example together); they say nothing of other seeds.

**At matched cost** a rule's score is read off its curve over thresholds, on the straight line between two neighbouring ones.
A part of N layers' operations is fewer than that part of the layers for a rule that pays for heads as well. `fixed` are the
static exits of the same model: where its lower exits were never trained, they score what they score. Patience for regression
moves its tolerance, at the scored P or at 1.

**Plots.** A line is a method's main rule, the first that it was scored with of those that adapt; its band one standard
deviation over seeds."""


def _section(folder: Path, task: Task, look: dict[str, str], texts: Sequence | None, resamples: int) -> str:
    parts = [f"## {task.name}", provenance.caption(task), provenance.origins(task), tables.usual_settings(task),
             "### At matched cost", tables.matched_cost(task)]
    if task.adaptive:
        parts += ["Differences in score at the same operations:", tables.matched_differences(task, resamples)]
    if task.halting:
        parts.append("### Sampling, Q-exit, expectation")
        parts += [sentence(task.name, run.method, len(run.seeds), ordering([seed.recorded for seed in run.seeds], resamples))
                  for run in task.halting]
    parts += ["### Plots", *_plots(folder, task, look)]
    if task.adaptive:
        remark = [] if texts else ["Rows of the split by number; with `--glue-dir` their text is shown."]
        parts += ["### Hardest and easiest", *remark, hardest_and_easiest(task, texts)]
    return "\n\n".join([*parts, "### Commands", f"```\n{provenance.commands(task)}\n```"])


def _plots(folder: Path, task: Task, look: dict[str, str]) -> list[str]:
    """Draws what the task has, and says where."""
    wanted = {"tradeoffs": "Score against depth, operations and time"}
    if task.adaptive:
        wanted |= {"exits": "Where examples leave", "examples": "Depth against correctness and length",
                   "thresholds": "Score and depth over the threshold"}
    if task.halting:
        wanted["posterior"] = "Posterior and prior of the exit layer"
    if not task.recorded.metrics.task.regression:
        wanted["reliability"] = "Reliability of the exits"
    for name in wanted:
        DRAW[name](_plot(folder, task, name), task, look)
    return [f"![{task.name}: {title}]({_plot(folder, task, name).name})" for name, title in wanted.items()]


def _plot(folder: Path, task: Task, name: str) -> Path:
    return folder / f"{task.name}_{name}.svg"


DRAW = {"tradeoffs": tradeoffs.tradeoffs, "exits": figures.exit_histograms, "examples": figures.depth_against_examples,
        "thresholds": tradeoffs.thresholds, "posterior": figures.posteriors, "reliability": figures.reliability}


def _as_html(page: str, folder: Path) -> str:
    """The page with its plots inside it."""
    body = markdown.markdown(page, extensions=["tables", "fenced_code"])
    body = re.sub(r'src="([^"]+)"', lambda match: f'src="{_data(folder / match[1])}"', body)
    return TEMPLATE.read_text().replace("{body}", body)


def _data(image: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(image.read_bytes()).decode()
