"""Write the report: Markdown with plots, its commands, one HTML page, and the first table."""

import base64
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from . import figures, provenance, tables
from .degenerate import degenerate
from .escaping import as_html, code_block
from .front import front
from .runs import Run
from .sentences import hardest_and_easiest
from .style import colours
from .task import Task

TITLE = "# Early exits, side by side"
MARKDOWN, COMMANDS, HTML = "README.md", "COMMANDS.md", "report.html"
FRONT, FRONT_PLOT = "front.md", "front.svg"
TEMPLATE = Path(__file__).with_name("page.html")
Texts = Mapping[str, Sequence[tuple[str, ...]]]


def write_report(folder: Path, tasks: dict[str, list[Run]], command: str, texts: Texts, resamples: int,
                 remarks: str = "") -> None:
    """Write README.md, its plots, COMMANDS.md, report.html, and front.md, the first table with its remark.

    ``command``: the command that makes the report. ``texts``: the sentences of every row of a task's split; a task may
    lack them. ``remarks``: Markdown that goes before the tasks.
    """
    tasks = [Task(name, runs) for name, runs in tasks.items()]
    colour_of = colours(list(dict.fromkeys(run.method for task in tasks for run in task.runs)))
    first = "\n\n".join(filter(None, [tables.front(tasks), degenerate(tasks)]))
    front(folder / FRONT_PLOT, tasks, colour_of)
    (folder / FRONT).write_text(first + "\n", encoding="utf-8")
    sections = [_introduction(tasks, command), first, f"![Score against layers]({FRONT_PLOT})"]
    sections += filter(None, [_claims(tasks, resamples), remarks.strip()])
    sections += [_section(folder, task, colour_of, texts.get(task.name)) for task in tasks]
    page = "\n\n".join(sections)
    commands = "\n\n".join(["# Commands", *(f"## {task.name}\n\n{code_block(provenance.commands(task))}"
                                           for task in tasks)])
    for name, text in {MARKDOWN: f"{page}\n\nThe commands of the runs are in [{COMMANDS}]({COMMANDS}).",
                       COMMANDS: commands, HTML: _as_html(f"{page}\n\n{commands}", folder)}.items():
        (folder / name).write_text(text + "\n", encoding="utf-8")


def _introduction(tasks: list[Task], command: str) -> str:
    return f"""{TITLE}

{', '.join(task.name for task in tasks)}. Everything here is computed from recorded splits by one command:

{code_block([command])}

{provenance.selection(tasks)}

**At the thresholds for half of the layers.** Score in points, mean ± sample sd over seeds; *sd of exits* is the sd of
the exit layer over a seed's examples; *layer speed-up* is the number of layers of the deepest model over the mean exit.
In the plot a line shows a method's main rule over all its thresholds, averaged over seeds. Where depth is claimed, a
band shows one sd over seeds."""


def _claims(tasks: list[Task], resamples: int) -> str:
    """The claims of methods that ``claims_depth``; empty where there are none."""
    about = {
        "Is depth earned?": (tables.depth_is_earned,
                             """At the thresholds chosen for N/2 layers: the sd of the exit layers of
each seed, and the score minus three others. These are the score of the same model's fixed exits at the same mean depth
(on the straight line between two layers), of the static model of N/2 layers, and of the vanilla model of N layers."""),
        "Q-exit against other rules on the same models": (tables.areas,
                                                          """The area is the mean score over mean exit layers
from N/3 to 2N/3, on straight lines between all thresholds of the rule; no threshold is chosen. Confidence is left out
for two classes, where it ranks answers as entropy does. Patience for regression varies its tolerance, at the scored P
or at 1."""),
        "Sampling < Q-exit ≤ expectation": (tables.orderings, """Three readings of one posterior: sampling in its exact
expectation, Q-exit at its median (q = 0.5), and the mean over all layers."""),
    }
    filled = {title: (table(tasks, resamples), text) for title, (table, text) in about.items()}
    sections = [f"### {title}\n\n{text}\n\n{table}" for title, (table, text) in filled.items() if table]
    if not sections:
        return ""
    return "\n\n".join([f"""## Claims

Differences in points, with paired bootstrap 95 % intervals from {resamples:,} resamples of examples. A resample is
the same for all seeds, and gives both scores and depths. The intervals do not reflect the variation between seeds. For
the mean of tasks each task is resampled by itself.""", *sections])


def _section(folder: Path, task: Task, colour_of: dict[str, str], texts: Sequence | None) -> str:
    parts = [f"## {task.name}", provenance.caption(task), provenance.origins(task)]
    if task.chosen:
        parts += ["### At chosen thresholds", tables.chosen_thresholds(task)]
    parts += ["### As scored", AS_SCORED, *([] if task.recorded.groups is None else [OF_GROUPS]),
              tables.usual_settings(task)]
    if task.adaptive:
        parts += ["### Plots", *_plots(folder, task, colour_of)]
        remark = [] if texts else ["Examples are named by their row in the split; `--glue-dir` adds their text."]
        parts += ["### Hardest and easiest", *remark, hardest_and_easiest(task, texts)]
    return "\n\n".join(parts)


AS_SCORED = """*FLOPs* count a sentence's matrix products, with heads and lambda modules. *Gained* and *lost* are
the examples answered better and worse than by the last layer. *ECE* and *AUROC* (of failure prediction) are those of
the answers' largest probability."""
OF_GROUPS = """The score is of groups of rows, and all else of rows, which exit each by itself. *Layers a group* is
the mean over groups of the sum of their rows' exit layers. A resample draws groups. Sampling's score of groups has no
exact expectation, so that its claim is left out."""


def _plots(folder: Path, task: Task, colour_of: dict[str, str]) -> list[str]:
    """Draw the plots that the task has; return their Markdown."""
    wanted = {"exits": "Where examples exit", "examples": "Depth against correctness and length"}
    if task.halting:
        wanted["posterior"] = "Posterior and prior of the exit layer"
    for name in wanted:
        DRAW[name](_plot(folder, task, name), task, colour_of)
    return [f"![{task.name}: {title}]({_plot(folder, task, name).name})" for name, title in wanted.items()]


def _plot(folder: Path, task: Task, name: str) -> Path:
    return folder / f"{task.name}_{name}.svg"


DRAW = {"exits": figures.exit_histograms, "examples": figures.depth_against_examples, "posterior": figures.posteriors}


def _as_html(page: str, folder: Path) -> str:
    """The page with its plots, and no other file, inside it."""
    plots = {path.name: base64.b64encode(path.read_bytes()).decode() for path in folder.glob("*.svg")}
    body = re.sub(r'(<img alt="[^"]*" src=)"([^"]*)"',
                  lambda match: f'{match[1]}"data:image/svg+xml;base64,{plots[match[2]]}"', as_html(page))
    return TEMPLATE.read_text(encoding="utf-8").replace("{body}", body)
