"""Mean and standard deviation of experiments' scores over seeds.

    python -m fairseq_palbert.experiment.results RUN_DIR... [--metric f1] [--out results.tsv] [--markdown]

Reads RUN_DIR/seed*/scores/SPLIT/scores.jsonl; a row is one run folder, split and exit rule. The score is GLUE's
official one, or the metric that --metric names. The standard deviation is the sample's (n - 1); one seed has none.

With --markdown it prints a table for a page instead, and RUN_DIR is METHOD/TASK. A row is a method and an exit rule, a
column a task (and split, if that is not valid). A cell has the score in per cent, the mean exit layer, and its share of
all layers.
"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

from .. import command
from ..errors import UserError
from ..files import replacing
from ..scores_file import SCORES_FILE, read_scores, seed_folders
from ..tables import plain, visible

COLUMNS = ("score", "mean_exit", "layer_speedup", "layers_used")
PERCENT = 100


def collect(runs: list[Path], metric: str = "score") -> dict[tuple[Path, str, str], list[dict]]:
    """The scores of every seed, by (run folder, split, rule), in the order found.

    Raises UserError where labelled examples were scored, but not by this metric.
    """
    scores = defaultdict(list)
    for run in dict.fromkeys(run.resolve() for run in runs):
        for path in (path for seed in seed_folders(run) for path in sorted(seed.glob(f"scores/*/{SCORES_FILE}"))):
            for record in read_scores(path, split=path.parent.name):
                if record["metrics"] and metric not in record["metrics"]:
                    raise UserError(f"{path} has no {metric}: choose from {', '.join(sorted(record['metrics']))}")
                scores[run, path.parent.name, record["exit"]].append({
                    "score": record["metrics"].get(metric),
                    "mean_exit": record["mean_exit"],
                    "layer_speedup": record["layer_speedup"],
                    "layers_used": record["mean_exit"] / len(record["exit_histogram"]),
                })
    return scores


def mean_and_sd(values: list[float]) -> tuple[float, float | None]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None


def summarise(scores: dict[tuple[Path, str, str], list[dict]]) -> list[dict]:
    """One row for each (run folder, split, rule): the number of seeds, and mean and sd of each column.

    A column is None where a seed has no score, as without labels. ``method`` is the name of the folder above the run's.
    """
    rows = []
    for (run, split, rule), seeds in scores.items():
        row = {"method": visible(run.parent.name), "run": visible(run.name), "split": visible(split), "rule": rule,
               "seeds": len(seeds)}
        for column in COLUMNS:
            values = [seed[column] for seed in seeds]
            row[column], row[f"{column}_sd"] = (None, None) if None in values else mean_and_sd(values)
        rows.append(row)
    return rows


def as_tsv(rows: list[dict]) -> str:
    cells = [list(rows[0])] + [["" if value is None else str(value) for value in row.values()] for row in rows]
    return "".join("\t".join(line) + "\n" for line in cells)


def as_table(rows: list[dict]) -> str:
    """A table for the terminal: scores in per cent, each value as mean ± sd; runs of one name have the folder above."""
    folders = {(row["method"], row["run"]) for row in rows}
    unique = len(folders) == len({run for _, run in folders})
    header = ["run", "split", "rule", "seeds", "score", "mean exit", "layer speed-up"]
    cells = [header]
    for row in rows:
        values = [_cell(row, "score", PERCENT), _cell(row, "mean_exit"), _cell(row, "layer_speedup")]
        run = row["run"] if unique else f"{row['method']}/{row['run']}"
        cells.append([run, row["split"], row["rule"], str(row["seeds"]), *values])
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    lines = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def as_markdown(rows: list[dict]) -> str:
    """Rows by method and rule, columns by task. Raises UserError where two runs have the same of all three."""
    tasks = list(dict.fromkeys(_task(row) for row in rows))
    cells = defaultdict(dict)
    for row in rows:
        by_task, task = cells[row["method"], row["rule"]], _task(row)
        if task in by_task:
            raise UserError(f"a second run of {row['method']} on {task}: runs are told apart by the names of their "
                            "folder and the one above: give one of them, or rename a folder")
        by_task[task] = (
            f"{_cell(row, 'score', PERCENT)}; {row['mean_exit']:.2f} ({row['layers_used'] * PERCENT:.0f} %)")
    lines = [["method", "exit rule", *map(plain, tasks)], ["---"] * (2 + len(tasks))]
    for (method, rule), by_task in cells.items():
        lines.append([plain(method), f"`{rule}`", *(by_task.get(task, "") for task in tasks)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _task(row: dict) -> str:
    return row["run"] if row["split"] == "valid" else f"{row['run']} {row['split']}"


def _cell(row: dict, column: str, scale: float = 1) -> str:
    mean, deviation = row[column], row[f"{column}_sd"]
    if mean is None:
        return "-"
    return f"{mean * scale:.2f}" + ("" if deviation is None else f" ± {deviation * scale:.2f}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fairseq_palbert.experiment.results",
                                     description="Mean and standard deviation over seeds of the scores of experiments.")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--metric", default="score", help="such as accuracy or pearson (default: GLUE's official one)")
    parser.add_argument("--out", type=Path, help="write the unrounded table there, tab-separated")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table, tasks side by side")
    args = parser.parse_args(arguments)
    rows = summarise(collect(args.runs, args.metric))
    if not rows:
        raise UserError(f"no seed*/scores/*/scores.jsonl in {', '.join(map(str, args.runs))}: "
                 "nothing was scored there")
    if args.out:
        with replacing(args.out) as part:
            part.write_text(as_tsv(rows), encoding="utf-8")
    print(as_markdown(rows) if args.markdown else as_table(rows))


if __name__ == "__main__":
    command.run(main)
