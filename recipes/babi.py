"""The 20 bAbI tasks (arXiv 1502.05698), trained together: accuracy and mean layers by task.

    BABI_DIR=tasks_1-20_v1-2/en recipes/babi.sh

A small Transformer (palbert_albert_tiny with relative position bias) applies one layer up to N times to a question and
its story, the latest sentence first, and chooses among all answers. A tenth of train selects the checkpoint; test is
scored once.

Variables: BABI_DIR, the folder of one language and size, such as en (1,000 questions a task) or en-10k; RUN_DIR
           (default: runs/babi); SEED (default: 1); and those of recipes/glue_task.sh.
Outputs:   RUN_DIR/raw and vocab (see python -m preprocess.babi --help), what recipes/glue_task.sh leaves,
           RUN_DIR/seedS/scores/test, and RUN_DIR/results: README.md, tasks.jsonl.
Duration:  en on one core about 40 minutes. Run it again to go on where it ended.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, pstdev

import fairseq_palbert.plugin  # noqa: F401  first, since it keeps the import of fairseq quiet
from fairseq_palbert.analysis.predictions_file import PREDICTIONS_FILE, RuleAnswers, read_predictions
from fairseq_palbert.command import run
from fairseq_palbert.evaluation import cli as evaluation
from fairseq_palbert.experiment.run import run as run_experiment
from fairseq_palbert.experiment.variables import settings_of
from fairseq_palbert.files import staged, write_json_lines
from fairseq_palbert.json_files import read_json_lines
from fairseq_palbert.scores_file import SCORES_FILE, read_scores
from fairseq_palbert.tables import markdown
from preprocess import babi
from recipes import command_line

RUNS = Path(__file__).resolve().parents[1] / "runs" / "babi"
MADE = "make it again with recipes/babi.sh"
EXIT = "q_exit:0.5"
# an answer stands a few words from what the question names, wherever that is: T5's relative position bias says how many
DEFAULTS = {"ARCH": "palbert_albert_tiny", "PRETRAINED": "none", "EXTRA_TRAIN_FLAGS": "--encoder-relative-buckets 32"}
ALL = "all"
LARGEST = 2**30  # bytes of a split; that of en-10k has 80 million


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    command_line.parser("babi.sh", __doc__).parse_args(argv)
    folder = command_line.folder_with("qa1_single-supporting-fact_train.txt", "BABI_DIR",
                                      "the folder of one language and size of bAbI, such as en")
    run_dir, seed = Path(os.environ.get("RUN_DIR") or RUNS).absolute(), command_line.whole_number("SEED", 1, least=0)
    if not (run_dir / "vocab").is_dir():  # written last
        babi.main([str(folder), "--out", str(run_dir)])
    run_experiment(settings_of(variables(run_dir, seed)))
    scores, depth = score(run_dir / f"seed{seed}", run_dir / "data" / "babi")
    train, test = (read_json_lines(run_dir / "raw" / f"{split}.jsonl", MADE, LARGEST) for split in babi.SPLITS)
    exits, last = (read_predictions(scores / PREDICTIONS_FILE, rule, len(test)) for rule in rules_of(depth))
    rows = list(by_task(train, test, exits, last))
    with staged(run_dir / "results") as scratch:
        write_json_lines(scratch / "tasks.jsonl", rows)
        (scratch / "README.md").write_text(page(rows, depth, seed), encoding="utf-8")
    print(table(rows))


def variables(run_dir: Path, seed: int) -> dict[str, str]:
    """The variables of recipes/glue_task.sh."""
    own = {"TASK": str(run_dir / "raw" / "babi.toml"), "VOCAB_DIR": str(run_dir / "vocab"), "RUN_DIR": str(run_dir),
           "SEEDS": f"{seed}"}
    return DEFAULTS | dict(os.environ) | own


def rules_of(depth: int) -> tuple[str, str]:
    return EXIT, f"fixed:{depth}"


def score(seed_dir: Path, data: Path) -> tuple[Path, int]:
    """Scores the checkpoint on test by Q-exit and by the last layer, once. Returns the scores' folder and N."""
    depth = len(read_scores(seed_dir / "scores" / "valid" / SCORES_FILE)[0]["exit_histogram"])
    out = seed_dir / "scores" / "test"
    if not (out / SCORES_FILE).is_file():
        evaluation.main([str(seed_dir / "checkpoints" / "checkpoint_best.pt"), "--data", str(data), "--split", "test",
                         "--record", "--out", str(out), *(f"--exit={rule}" for rule in rules_of(depth))])
    return out, depth


def by_task(train: list[dict], test: list[dict], exits: RuleAnswers, last: RuleAnswers) -> Iterator[dict]:
    """Accuracies (0 to 1), mean and standard deviation of the exit layer, of each task and of all.

    ``usual``: the accuracy of the most frequent answer in train, over all tasks the mean of theirs.
    """
    usual = {task: Counter(row["answer"] for row in train if row["task"] == task).most_common(1)[0][0]
             for task in dict.fromkeys(row["task"] for row in test)}
    for task in (*usual, ALL):
        places = [place for place, row in enumerate(test) if task in (row["task"], ALL)]
        layers = [exits.exit_layers[place] for place in places]
        yield {"task": task, "questions": len(places),
               "usual": fmean(test[place]["answer"] == usual[test[place]["task"]] for place in places),
               "accuracy": accuracy(exits, places), "mean_exit": fmean(layers), "sd_exit": pstdev(layers),
               "last_layer": accuracy(last, places)}


def accuracy(answers: RuleAnswers, places: list[int]) -> float:
    return fmean(answers.predictions[place] == answers.labels[place] for place in places)


def table(rows: list[dict]) -> str:
    lines = [["task", "accuracy, Q-exit 0.5", "mean exit layer (sd)", "accuracy, last layer", "most frequent answer"]]
    lines += [[row["task"], f"{100 * row['accuracy']:.1f}", f"{row['mean_exit']:.2f} ({row['sd_exit']:.2f})",
               f"{100 * row['last_layer']:.1f}", f"{100 * row['usual']:.1f}"] for row in rows]
    return markdown(lines, words=1)


def page(rows: list[dict], depth: int, seed: int) -> str:
    return f"""# bAbI

One model of all 20 tasks, seed {seed}, scored on their test splits ({rows[-1]["questions"]:,} questions). A Transformer
applies one layer up to {depth} times and leaves by Q-exit 0.5. The last column is the accuracy of each task's most
frequent answer in train.

{table(rows)}

```
BABI_DIR=tasks_1-20_v1-2/en recipes/babi.sh
```
"""


if __name__ == "__main__":
    run(main)
