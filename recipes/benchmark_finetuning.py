"""Time fine-tuning against transformers in a plain training loop: see benchmark_finetuning.sh."""

import argparse
import json
import random
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import transformers
from fairseq import checkpoint_utils, tasks
from fairseq.logging import metrics
from fairseq.trainer import Trainer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

import fairseq_palbert.plugin  # noqa: F401  registers
from fairseq_palbert.command import run
from fairseq_palbert.tasks.dataset import GlueDataset
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.special_tokens import END, PADDING
from recipes.benchmark_training import compared, configuration, setting

BATCH, LR, WEIGHT_DECAY, CLIP = 32, 5e-5, 0.01, 1.0
BASELINE = "transformers"
METHODS = {
    "vanilla": ("--criterion", "multi_exit_classification", "--layer-weights", "last", "--lambda-module", "none"),
    "palbert": ("--criterion", "ponder_classification"),
}


class Ours:
    """fairseq's Trainer, with scheduler, clipping and metrics, on the converted weights.

    This is what ``fairseq-train`` runs.
    """

    def __init__(self, data: Path, updates: int, flags: list[str]):
        cfg = configuration(data, [
            "--task", "glue", "--glue-task", "MRPC", "--max-positions", "128", "--batch-size", str(BATCH), *flags,
            "--optimizer", "ponder_adam", "--lr", str(LR), "--weight-decay", str(WEIGHT_DECAY),
            "--clip-norm", str(CLIP),
            "--lr-scheduler", "polynomial_decay", "--total-num-update", str(updates), "--max-update", str(updates),
        ])
        task = tasks.setup_task(cfg.task)
        task.load_dataset("train")
        self.dataset: GlueDataset = task.dataset("train")
        self.trainer = Trainer(cfg, task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))
        checkpoint_utils.load_checkpoint(cfg.checkpoint, self.trainer)

    def update(self, batch: list[int]) -> None:
        sample = self.dataset.collater([self.dataset[i] for i in batch])
        with metrics.aggregate(new_root=True):
            self.trainer.train_step([sample])


class Theirs:
    """``BertForSequenceClassification``, AdamW, linear decay and clipping.

    The sentences are the same, in the model's own ids.
    """

    def __init__(self, folder: Path, updates: int, dataset: GlueDataset, native_ids: Tensor):
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, num_labels=2).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
        self.schedule = transformers.get_linear_schedule_with_warmup(self.optimizer, 0, updates)
        examples = [dataset[i] for i in range(len(dataset))]
        self.tokens = [native_ids[example["tokens"]] for example in examples]
        self.segments = [_segments(example["tokens"].eq(END)) for example in examples]
        self.labels = torch.stack([example["target"] for example in examples])
        self.pad = int(native_ids[PADDING])

    def update(self, batch: list[int]) -> None:
        tokens = pad_sequence([self.tokens[i] for i in batch], True, self.pad)
        self.model(
            input_ids=tokens, attention_mask=tokens.ne(self.pad).long(), labels=self.labels[batch],
            token_type_ids=pad_sequence([self.segments[i] for i in batch], True),
        ).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()


def _segments(separators: Tensor) -> Tensor:
    """[CLS] a [SEP] b [SEP] -> 0 0 0 1 1."""
    return (separators.cumsum(0) - separators.long()).clamp(max=1)


def shuffled_batches(dataset: GlueDataset, seed: int) -> list[list[int]]:
    """An epoch as ``fairseq-train`` batches it: similar lengths together, in random order."""
    np.random.seed(seed)
    batches = [list(map(int, batch)) for batch in dataset.batch_by_size(dataset.ordered_indices(), max_sentences=BATCH)]
    random.Random(seed).shuffle(batches)
    return batches


def timed(side: Ours | Theirs, batches: list[list[int]]) -> tuple[float, float]:
    """Wall-clock seconds and processor seconds; other load changes the latter less."""
    start = time.perf_counter(), time.process_time()
    for batch in batches:
        side.update(batch)
    return time.perf_counter() - start[0], time.process_time() - start[1]


def run_in_turn(sides: dict[str, Ours | Theirs], chunks: list[list[list[int]]]) -> dict[str, list[tuple[float, float]]]:
    """All sides train on a chunk before the next one starts; the first side rotates."""
    taken = {name: [] for name in sides}
    for number, chunk in enumerate(chunks):
        names = list(sides)
        for name in names[number % len(names):] + names[:number % len(names)]:
            taken[name].append(timed(sides[name], chunk))
            print(f"chunk {number + 1} of {len(chunks)} {name:12s} {taken[name][-1][0]:.3f} s", file=sys.stderr)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pretrained", type=Path, required=True, help="folder in the Hugging Face layout, of a BERT")
    parser.add_argument("--checkpoint", type=Path, required=True,
                        help="model.pt of its conversion, the vocabulary beside it")
    parser.add_argument("--data", type=Path, required=True, help="binarized MRPC")
    parser.add_argument("--batches", type=int, help="timed batches (default: an epoch)")
    parser.add_argument("--chunk", type=int, default=5, help="batches that a side trains on in its turn (default: 5)")
    parser.add_argument("--warm-up", type=int, default=2, help="untimed batches before (default: 2)")
    parser.add_argument("--seed", type=int, default=1)
    flags, encoder_flags = parser.parse_known_args()
    torch.manual_seed(flags.seed)
    warnings.simplefilter("ignore")
    start = ["--finetune-from-model", str(flags.checkpoint), *encoder_flags]
    updates = 1000  # of the schedule; fewer are run
    sides = {name: Ours(flags.data, updates, [*start, *method]) for name, method in METHODS.items()}
    dataset = sides["vanilla"].dataset
    native_ids = torch.from_numpy(Vocabulary(flags.checkpoint.parent).native_ids)
    sides[BASELINE] = Theirs(flags.pretrained, updates, dataset, native_ids)
    batches = shuffled_batches(dataset, flags.seed)[:flags.batches]
    run_in_turn(sides, [batches[:flags.warm_up]])
    taken = run_in_turn(sides, [batches[i:i + flags.chunk] for i in range(0, len(batches), flags.chunk)])
    print(json.dumps({
        **compared("seconds", {name: [clock for clock, _ in chunks] for name, chunks in taken.items()}, BASELINE),
        **compared("processor_seconds", {name: [cpu for _, cpu in chunks] for name, chunks in taken.items()}, BASELINE),
        "sum_of_seconds": {name: round(sum(clock for clock, _ in chunks), 2) for name, chunks in taken.items()},
        "batches": len(batches), "sentences": sum(map(len, batches)),
        "chunk": flags.chunk, "batch": BATCH, "seed": flags.seed,
        **setting(), "transformers": transformers.__version__,
    }, indent=2))


if __name__ == "__main__":
    run(main)
