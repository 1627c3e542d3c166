"""Exit layers held against an independent measure of difficulty.

    PRETRAINED=ENCODER SEEDS="1 2 3" recipes/difficulty.sh MNLI_DEV --out OUT

Trains each method on MNLI, scores the matched dev set, and sets every exit rule to the same mean depth, N/2. The
report has the Spearman correlation of the exit layer with the difficulty of the sentence, its bootstrap 95 % interval,
and a plot of the mean exit layer by tenth of difficulty.

Inputs:    MNLI_DEV has validation_matched.jsonl, validation_mismatched.jsonl (premise, hypothesis, label), and
           matched_difficulty.tsv: the columns index, a row of the matched file, and correct_of_100, how many of 100
           fine-tuned BERTs label it rightly (McCoy, Min and Linzen, arXiv 1911.02969). Models are trained on
           train.jsonl where it is there, MNLI's own, and otherwise on the mismatched dev set.
Variables: PRETRAINED, SEEDS, METHODS (default: palbert palbert_staged pabee berxit), and those of recipes/glue_task.sh.
Outputs:   OUT/README.md, OUT/difficulty.svg, OUT/difficulty.jsonl; the runs in RUN_DIR (default: OUT/runs).
Duration:  with MiniLM-L6 on one core about 15 minutes a method and seed. Run it again to go on where it ended.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from fairseq_palbert.analysis.bootstrap import interval
from fairseq_palbert.analysis.recorded_split import RECORD_FILE, RecordedSplit, read_record
from fairseq_palbert.analysis.records import score
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.command import run
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Decisions
from fairseq_palbert.exits.registry import RULES
from fairseq_palbert.experiment.run import run as run_experiment
from fairseq_palbert.experiment.variables import settings_of
from fairseq_palbert.files import make_folder, replacing, staged, write_json_lines
from fairseq_palbert.numbers_from_text import integer
from fairseq_palbert.report.style import colours, panels
from fairseq_palbert.scores_file import scored_seeds
from fairseq_palbert.tables import markdown
from fairseq_palbert.tsv import read_rows
from recipes import command_line

MATCHED, MISMATCHED, OWN_TRAIN = "validation_matched.jsonl", "validation_mismatched.jsonl", "train.jsonl"
DIFFICULTY, BERTS = "matched_difficulty.tsv", 100
# what each method of the table is trained with, as for the other tables of MiniLM-L6, and the rules to hold against it;
# the matched set is scored once, after training, where the rules are set on the record of all layers
EVERY = ("--distill-weight", "0.5", "--classifier-lr", "1e-3", "--valid-subset", "holdout")
FLAGS = {"palbert": ("--per-layer-pooler", "--per-layer-classifier", *EVERY), "pabee": ("--per-layer-pooler", *EVERY),
         "berxit": EVERY}
RULES_OF = {"palbert": ("q_exit", "entropy"), "palbert_staged": ("q_exit",), "pabee": ("patience", "entropy"),
            "berxit": ("learned", "entropy")}
DEFAULTS = {"LR": "1e-4", "LAMBDA_LR": "1e-4", "LENGTH_POOL": "50", "MAX_EPOCH": "3", "SELECT_ON": "holdout",
            "EXITS": "fixed:N"}
PONDERING = ("palbert", "palbert_staged")
POINTS, TENTHS, RESAMPLES = 200, 10, 1000


@dataclass(frozen=True)
class Curve:
    """One rule of one method: exit layers of every seed [S, E], and the accuracy of each."""

    method: str
    rule: str
    exits: np.ndarray
    scores: list[float]

    @property
    def name(self) -> str:
        return f"{self.method}, {self.rule}"


def main(argv: list[str] | None = None) -> None:
    options = command_line.parser("difficulty.sh", __doc__)
    options.add_argument("folder", type=Path, metavar="MNLI_DEV")
    options.add_argument("--out", type=Path, required=True, help="folder of the report")
    options = options.parse_args(argv)
    difficulty = read_difficulty(options.folder / DIFFICULTY)
    methods = (os.environ.get("METHODS") or " ".join(RULES_OF)).split()
    if unknown := set(methods) - set(RULES_OF):
        raise UserError(f"METHODS has {min(unknown)}: choose from {', '.join(RULES_OF)}")
    runs = Path(os.environ.get("RUN_DIR") or options.out / "runs")
    task_file = write_task_file(runs / "task" / "MNLI-difficulty.toml", options.folder)
    for method in methods:
        run_experiment(settings_of(variables(method, task_file, runs)))
    curves = [curve for method in methods for curve in curves_of(method, runs / method, len(difficulty))]
    rows = list(measured(curves, difficulty))
    with staged(options.out) as folder:
        write_json_lines(folder / "difficulty.jsonl", rows)
        plot(folder / "difficulty.svg", curves, difficulty)
        with replacing(folder / "README.md") as part:
            part.write_text(page(rows, (options.folder / OWN_TRAIN).is_file()), encoding="utf-8")
    print(table(rows))


def read_difficulty(path: Path) -> np.ndarray:
    """How many of the BERTs err on each row, [E]. Raises UserError for a row that is missing or out of range."""
    remedy = "give the table of how many of 100 BERTs are right"
    rights = {}
    for index, right in read_rows(path, ("index", "correct_of_100"), remedy):
        try:
            rights[integer(index, 0)] = integer(right, 0, BERTS)
        except ValueError as error:
            raise UserError(f"{path}: {error}: {remedy}") from error
    if set(rights) != set(range(len(rights))):
        raise UserError(f"{path}: not one row for each index from 0: {remedy}")
    return BERTS - np.array([rights[row] for row in range(len(rights))])


def write_task_file(path: Path, folder: Path) -> Path:
    """MNLI as a task of two files, whose matched dev set is scored."""
    train = folder / (OWN_TRAIN if (folder / OWN_TRAIN).is_file() else MISMATCHED)
    content = {"name": path.stem, "sentences": ["premise", "hypothesis"], "label": "label",
               "labels": list(packaged_task("MNLI").labels), "metric": "accuracy"}
    splits = {"train": str(train.resolve()), "valid": str((folder / MATCHED).resolve())}
    lines = [f"{key} = {json.dumps(value)}" for key, value in content.items()]  # TOML spells these as JSON does
    lines += ["[splits]", *(f"{name} = {json.dumps(file)}" for name, file in splits.items())]
    make_folder(path.parent)
    with replacing(path) as part:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def variables(method: str, task_file: Path, runs: Path) -> dict[str, str]:
    """The variables of recipes/glue_task.sh for a method."""
    given = {name: value for name, value in os.environ.items() if name != "RUN_DIR"}
    defaults = {name: value for name, value in DEFAULTS.items() if name != "LAMBDA_LR" or method in PONDERING}
    first = method.removesuffix("_staged")
    flags = "EXTRA_TRAIN_FLAGS" if method == first else "FIRST_TRAIN_FLAGS"
    own = {"TASK": str(task_file), "METHOD": method, "RUN_DIR": str(runs / method), flags: " ".join(FLAGS[first])}
    if method != first:
        own["FIRST_RUN"] = str(runs / first)
    return defaults | given | own


def curves_of(method: str, run_dir: Path, rows: int) -> Iterator[Curve]:
    """Each rule of the method at the threshold whose mean exit layer is nearest to N/2."""
    paths = scored_seeds(run_dir, "valid", RECORD_FILE)
    records = [read_record(path) for path in paths]
    for path, recorded in zip(paths, records):
        if recorded.ids.tolist() != list(range(rows)):
            raise UserError(f"{path} has {len(recorded.ids)} rows, and {DIFFICULTY} {rows}: give the whole matched set")
    for rule in RULES_OF[method]:
        decided = [at_half_depth(recorded, rule) for recorded in records]
        yield Curve(method, rule, np.stack([chosen.exit_layers.numpy() for chosen in decided]),
                    [score(recorded, chosen.outputs)["score"]
                     for recorded, chosen in zip(records, decided)])


def at_half_depth(recorded: RecordedSplit, rule: str) -> Decisions:
    every = (decisions(recorded, setting) for setting in RULES[rule].sweep(recorded.recording, POINTS))
    return min(every, key=lambda chosen: abs(float(chosen.exit_layers.double().mean()) - recorded.depth / 2))


def correlation(exits: np.ndarray, difficulty: np.ndarray) -> float:
    """Spearman's, averaged over seeds. Shape: [S, E], [E]. One layer for all sentences has 0."""
    return float(np.mean([spearmanr(of_seed, difficulty).statistic if np.ptp(of_seed) else 0.0 for of_seed in exits]))


def by_tenth(exits: np.ndarray, difficulty: np.ndarray) -> np.ndarray:
    """The mean exit layer of each tenth of the sentences by difficulty. Shape: [S, E], [E] -> [10].

    Sentences of equal difficulty have their common mean, so that their order does not count.
    """
    _, kind, count = np.unique(difficulty, return_inverse=True, return_counts=True)
    means = np.bincount(kind, weights=exits.mean(0)) / count
    return np.array([part.mean() for part in np.array_split(means[np.sort(kind)], TENTHS)])


def measured(curves: Iterable[Curve], difficulty: np.ndarray) -> Iterator[dict]:
    random = np.random.default_rng(0)
    draws = [random.integers(len(difficulty), size=len(difficulty)) for _ in range(RESAMPLES)]
    for curve in curves:
        resamples = np.array([correlation(curve.exits[:, drawn], difficulty[drawn]) for drawn in draws])
        tenths = by_tenth(curve.exits, difficulty)
        yield {"method": curve.method, "rule": curve.rule, "seeds": len(curve.exits),
               "accuracy": float(np.mean(curve.scores)), "mean_exit": float(curve.exits.mean()),
               "sd_exit": float(curve.exits.std(1).mean()), "spearman": correlation(curve.exits, difficulty),
               "interval": interval(resamples), "mean_exit_by_tenth": tenths.tolist()}


def table(rows: list[dict]) -> str:
    lines = [["method", "exit rule", "accuracy", "mean exit layer (sd)", "Spearman (95 % interval)", "easiest tenth",
              "hardest tenth"]]
    for row in rows:
        low, high = row["interval"]
        tenths = row["mean_exit_by_tenth"]
        lines.append([row["method"], row["rule"], f"{100 * row['accuracy']:.2f}",
                      f"{row['mean_exit']:.2f} ({row['sd_exit']:.2f})",
                      f"{row['spearman']:.3f} ({low:.3f} to {high:.3f})", f"{tenths[0]:.2f}", f"{tenths[-1]:.2f}"])
    return markdown(lines, words=2)


def page(rows: list[dict], own_train: bool) -> str:
    trained = "MNLI's train" if own_train else "the mismatched dev set of MNLI, since its train was not at hand"
    return f"""# Depth against difficulty

Do hard sentences exit later? The difficulty of a sentence is the number of fine-tuned BERTs, of 100, that label it
wrongly (McCoy, Min and Linzen, arXiv 1911.02969), on MNLI's matched dev set.
Models were trained on {trained}; {rows[0]["seeds"]} seed{"s" * (rows[0]["seeds"] != 1)}.
Every rule is set to a mean exit layer nearest to N/2.
Correlations are means over seeds; intervals are of {RESAMPLES} bootstrap resamples of the sentences.

{table(rows)}

![mean exit layer by tenth of difficulty](difficulty.svg)

`PRETRAINED=ENCODER SEEDS="1 2 3" recipes/difficulty.sh MNLI_DEV --out OUT` makes this page.
"""


def plot(path: Path, curves: list[Curve], difficulty: np.ndarray) -> None:
    tenths = np.arange(1, TENTHS + 1)
    with panels(path, 2) as (figure, (axes, beside)):
        for name, colour in colours([curve.name for curve in curves]).items():
            curve = next(curve for curve in curves if curve.name == name)
            axes.plot(tenths, by_tenth(curve.exits, difficulty), color=colour, marker="o", markersize=4, label=name)
        axes.set(xlabel="tenth of the sentences by difficulty", ylabel="mean exit layer")
        axes.set_xticks(tenths)
        beside.axis("off")
        beside.legend(handles=axes.lines, loc="center left")


if __name__ == "__main__":
    run(main)
