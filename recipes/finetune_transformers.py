"""A plain fine-tuning by transformers, to compare a task's scores with.

    PRETRAINED=ENCODER recipes/finetune_transformers.sh TASK.toml --data DATA/TASK [--epochs 3] [--lr 5e-5]

AutoModelForSequenceClassification with AdamW (weight decay 0.01), linear decay without warm-up, gradients clipped at 1,
batches of 32 shuffled sentences, cut at 128 tokens. It trains on the rows that a run with the same holdout fraction
trains on, and scores the last model; there is no selection.

Inputs:    the task file, or a task's name with --raw; its binarized folder; PRETRAINED, a folder in the Hugging Face
           layout. Needs recipes/setup.sh --benchmark.
Variables: OMP_NUM_THREADS (default: the number of cores).
Outputs:   one JSON object on stdout: metrics, settings, seconds.
"""

import json
import math
import sys
import time
from pathlib import Path

import torch
import transformers
from torch.nn.functional import cross_entropy, mse_loss
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import fairseq_palbert.plugin  # noqa: F401  registers
from fairseq_palbert.command import run
from fairseq_palbert.definitions.definition import TaskDefinition
from fairseq_palbert.definitions.metrics import References, TaskMetrics
from fairseq_palbert.definitions.packaged import find_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.numbers_from_text import LARGEST_SEED, finite_float, integer
from fairseq_palbert.raw.examples import Example, read_examples, with_labels
from fairseq_palbert.tasks.sentence_task import SentenceConfig, SentenceTask
from recipes.command_line import check_ranges, folder_with, parser

BATCH, WEIGHT_DECAY, CLIP, TOKENS = 32, 0.01, 1.0, 128
RANGES = {"epochs": (1, 10**4), "lr": (0, 1), "seed": (0, LARGEST_SEED)}


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser("finetune_transformers.sh", __doc__)
    add = options.add_argument
    add("task", help="task file, or name of a task of the package")
    add("--data", required=True, help="the binarized folder, which says which rows are held out")
    add("--raw", type=Path, help="folder of the raw files (default: the task file's)")
    add("--split", default="test", help="split to score (default: test)")
    add("--epochs", type=integer, default=3)
    add("--lr", type=finite_float, default=5e-5)
    add("--holdout-fraction", type=finite_float, default=0.1, help="part of train that is left out (default: 0.1)")
    add("--seed", type=integer, default=1)
    options = options.parse_args(argv)
    check_ranges(options, RANGES)
    folder = folder_with("config.json", "PRETRAINED", "an encoder in the Hugging Face layout")
    raw = options.raw or Path(options.task).parent
    task = with_labels(find_task(options.task), raw)
    if not task.split(options.split).labelled:
        labelled = ", ".join(split.name for split in task.splits if split.labelled)
        raise UserError(f"--split {options.split}: {task.name} has no labels of it: choose from {labelled}")
    scored = examples(task, options.split, raw)
    rows = SentenceTask(SentenceConfig(data=options.data, holdout_fraction=options.holdout_fraction))
    kept = set(rows.load_dataset("train").ids.tolist())
    train = [example for row, example in enumerate(examples(task, "train", raw)) if row in kept]
    transformers.logging.set_verbosity_error()
    torch.manual_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=task.outputs)
    start = time.perf_counter()
    finetune(model, tokenizer, train, task, options.epochs, options.lr)
    seconds = time.perf_counter() - start
    outputs, targets = answers(model, tokenizer, scored), targets_of(scored, task)
    metrics = TaskMetrics(task)
    sums = metrics.statistics(outputs, References(targets), torch.arange(len(targets)), len(targets))
    print(json.dumps({"task": task.name, "split": options.split, "metrics": metrics(sums), "train": len(train),
                      "epochs": options.epochs, "lr": options.lr, "seed": options.seed, "training_seconds": seconds,
                      "versions": {"torch": torch.__version__, "transformers": transformers.__version__}}))


def examples(task: TaskDefinition, split: str, raw: Path) -> list[Example]:
    return [row for row in read_examples(task, task.split(split), raw) if isinstance(row, Example)]


def targets_of(batch: list[Example], task: TaskDefinition) -> torch.Tensor:
    """Class ids, or scores in float64. Shape: [B]."""
    if task.regression:
        return torch.tensor([task.score_in(example.label) for example in batch], dtype=torch.float64)
    return torch.tensor([task.labels.index(example.label) for example in batch])


def tokens(tokenizer, batch: list[Example]) -> dict[str, torch.Tensor]:
    columns = zip(*(example.sentences for example in batch))
    return tokenizer(*map(list, columns), truncation=True, max_length=TOKENS, padding=True, return_tensors="pt")


def finetune(model, tokenizer, train: list[Example], task: TaskDefinition, epochs: int, lr: float) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=WEIGHT_DECAY)
    updates = epochs * math.ceil(len(train) / BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: 1 - update / updates)
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(train)).tolist()
        for place in range(0, len(train), BATCH):
            batch = [train[row] for row in order[place:place + BATCH]]
            logits, targets = model(**tokens(tokenizer, batch)).logits, targets_of(batch, task)
            loss = mse_loss(logits.squeeze(-1), targets.float()) if task.regression else cross_entropy(logits, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        print(f"epoch {epoch + 1} of {epochs}: last loss {loss.item():.3f}", file=sys.stderr)


@torch.no_grad()
def answers(model, tokenizer, scored: list[Example]) -> torch.Tensor:
    """The logits. Shape: [E, K]."""
    model.eval()
    return torch.cat([model(**tokens(tokenizer, scored[place:place + BATCH])).logits
                      for place in range(0, len(scored), BATCH)])


if __name__ == "__main__":
    run(main)
