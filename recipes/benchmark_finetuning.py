"""Fine-tuning by fairseq's trainer against transformers in a plain training loop.

Updates of vanilla and of PALBERT against those of transformers' BertForSequenceClassification, from the same weights,
on the same batches of MRPC, in one process, in turn, on the CPU in float32. All three get the same sentences in the
same batch, 32 padded to the longest of them, at most 128 tokens, and the same learning rate, weight decay, clipping and
linear decay. Tokenizing is done before; padding is timed.

    GLUE_DIR=raw PRETRAINED=folder recipes/benchmark_finetuning.sh [--batches K] [--chunk 5] [--warm-up 2] [--seed 1]

Inputs:    PRETRAINED, a BERT in the Hugging Face layout; GLUE_DIR/MRPC. Needs recipes/setup.sh --benchmark.
Variables: OMP_NUM_THREADS (default: the number of cores); PRETRAINED_DIR, as of recipes/glue_task.sh.
Outputs:   one JSON object on stdout: the seconds of every chunk of batches, the medians and their ratios to those of
           transformers, by the clock and of processor time, which on a busy machine is the steadier of the two; threads
           and versions.
Hardware:  the CPU.
Duration:  115 batches, an epoch, of MiniLM-L6 on 2 cores about 8 minutes for the three.
Expected:  ratios of at most 1.10 (vanilla) and 1.15 (palbert).
"""

import json
import logging
import os
import random
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

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
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.pretrained import Start, find_start
from fairseq_palbert.tasks.dataset import SentenceDataset
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.special_tokens import END, PADDING
from recipes.benchmark_training import compared, configuration, setting
from recipes.command_line import folder_with, glue_folder, parser

BATCH, LR, WEIGHT_DECAY, CLIP = 32, 5e-5, 0.01, 1.0
UPDATES = 1000  # of the schedule, more than are done
BASELINE = "transformers"
PRETRAINED_DIR = Path(__file__).resolve().parents[1] / "runs" / "pretrained"
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
        self.dataset: SentenceDataset = task.dataset("train")
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

    def __init__(self, folder: Path, updates: int, dataset: SentenceDataset, native_ids: Tensor):
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


def shuffled_batches(dataset: SentenceDataset, seed: int) -> list[list[int]]:
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


def all_sides(start: Start, folder: Path, data: Path) -> dict[str, Ours | Theirs]:
    """Every method from the converted weights, and transformers from those in ``folder``, by name."""
    flags = ["--finetune-from-model", str(start.checkpoint), "--arch", start.arch, *start.flags]
    sides = {name: Ours(data, UPDATES, [*flags, *method]) for name, method in METHODS.items()}
    native_ids = torch.from_numpy(Vocabulary(start.vocabulary).native_ids)
    return sides | {BASELINE: Theirs(folder, UPDATES, sides["vanilla"].dataset, native_ids)}


def main() -> None:
    options = parser("benchmark_finetuning.sh", __doc__)
    options.add_argument("--batches", type=int, help="timed batches (default: an epoch)")
    options.add_argument("--chunk", type=int, default=5, help="batches in turn (default: 5)")
    options.add_argument("--warm-up", type=int, default=2, help="batches before, untimed (default: 2)")
    options.add_argument("--seed", type=int, default=1)
    flags = options.parse_args()
    logging.getLogger().setLevel(logging.WARNING)  # importing fairseq lets every library's debug lines through
    folder = folder_with("config.json", "PRETRAINED", "a folder in the Hugging Face layout")
    glue_folder("MRPC")
    start = find_start(str(folder), None, Path(os.environ.get("PRETRAINED_DIR") or PRETRAINED_DIR), None)
    if not start.arch.startswith("palbert_bert"):
        raise UserError(f"PRETRAINED={folder} is a {start.arch}: name a BERT")
    torch.manual_seed(flags.seed)
    warnings.simplefilter("ignore")
    with TemporaryDirectory() as work:
        launch.run(launch.python("preprocess.data", "--task", "MRPC", "--split", "train", "--vocab", start.vocabulary,
                                 "--out", work), stdout=launch.STDERR)
        sides = all_sides(start, folder, Path(work, "MRPC"))
        batches = shuffled_batches(sides["vanilla"].dataset, flags.seed)[:flags.batches]
        run_in_turn(sides, [batches[:flags.warm_up]])
        taken = run_in_turn(sides, [batches[i:i + flags.chunk] for i in range(0, len(batches), flags.chunk)])
        clocks = {name: [clock for clock, _ in chunks] for name, chunks in taken.items()}
        processor = {name: [seconds for _, seconds in chunks] for name, chunks in taken.items()}
        print(json.dumps({
            **compared("seconds", clocks, BASELINE),
            **compared("processor_seconds", processor, BASELINE),
            "sum_of_seconds": {name: round(sum(seconds), 2) for name, seconds in clocks.items()},
            "batches": len(batches), "sentences": sum(map(len, batches)),
            "chunk": flags.chunk, "batch": BATCH, "seed": flags.seed,
            **setting(), "transformers": transformers.__version__,
        }, indent=2))


if __name__ == "__main__":
    run(main)
