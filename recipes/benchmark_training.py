"""A training step of palbert_roberta_base against one of stock roberta_base.

A step is forward, loss, backward and Adam: of palbert_roberta_base with PALBERT's lambda module, and of fairseq's
roberta_base with sentence_prediction, in one process, in turn, on the CPU in float32.

    recipes/benchmark_training.sh [--steps 10] [--warm-up 2] [--batch 32] [--tokens 64] [--layers 12] [--seed 1]

Inputs:    none; both models are built through fairseq with random weights, over random tokens without padding.
Variables: OMP_NUM_THREADS (default: the number of cores).
Outputs:   one JSON object on stdout: the seconds of every step, both medians and their ratio, by the clock and of
           processor time, which on a busy machine is the steadier of the two; threads and versions.
Hardware:  the CPU, 6 GiB.
Duration:  about 5 minutes on 2 cores.
Expected:  a ratio of at most 1.08.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from fairseq import optim, options, tasks
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import DictConfig

import fairseq_palbert.plugin  # noqa: F401  registers
from fairseq_palbert.binarized_files import FAIRSEQS_LOG
from fairseq_palbert.command import run
from fairseq_palbert.numbers_from_text import LARGEST_SEED, integer
from recipes.command_line import check_ranges, parser

VOCABULARY = 50265  # RoBERTa's, <mask> included
STOCK = ("--arch", "roberta_base", "--task", "sentence_prediction", "--num-classes", "2", "--max-positions", "512",
         "--criterion", "sentence_prediction", "--classification-head-name", "classification")
OURS = ("--arch", "palbert_roberta_base", "--task", "glue", "--glue-task", "SST-2",
        "--criterion", "ponder_classification")
RANGES = {"steps": (1, 10**6), "warm_up": (0, 10**6), "batch": (1, 10**4), "tokens": (1, 512), "layers": (2, 100),
          "seed": (0, LARGEST_SEED)}


def configuration(data: Path, flags: Sequence[str]) -> DictConfig:
    """The configuration that ``fairseq-train`` makes of the flags, for training on the CPU."""
    words = [str(data), *flags, "--cpu", "--save-dir", str(data / "never-written")]
    return convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), words))


class Training:
    """A model with its task, criterion and Adam, as ``fairseq-train`` builds them from the flags."""

    def __init__(self, data: Path, flags: tuple[str, ...]):
        cfg = configuration(data, (*flags, "--optimizer", "adam", "--lr", "1e-5", "--batch-size", "32"))
        self.task = tasks.setup_task(cfg.task)
        self.model = self.task.build_model(cfg.model)
        self.criterion = self.task.build_criterion(cfg.criterion)
        self.optimizer = optim.build_optimizer(cfg.optimizer, list(self.model.parameters()))

    def step(self, sample: dict) -> tuple[float, float]:
        """Forward, loss, backward and update.

        Returns wall-clock seconds and processor seconds; other load changes the latter less.
        """
        start = time.perf_counter(), time.process_time()
        self.task.train_step(sample, self.model, self.criterion, self.optimizer, update_num=0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - start[0], time.process_time() - start[1]

    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def write_dictionaries(folder: Path) -> None:
    """Write a data folder without data, as of fairseq's own script: both tasks read vocabulary and labels from it."""
    words, labels = Dictionary(), Dictionary()
    for i in range(VOCABULARY - words.nspecial - 1):
        words.add_symbol(str(i))
    for label in "01":
        labels.add_symbol(label)
    for part, dictionary in (("input0", words), ("label", labels)):
        (folder / part).mkdir()
        dictionary.save(str(folder / part / "dict.txt"))
    (folder / FAIRSEQS_LOG).touch()


def make_sample(batch: int, tokens: int) -> dict:
    src_tokens = torch.randint(4, VOCABULARY, (batch, tokens))
    return {
        "id": torch.arange(batch),
        "net_input": {"src_tokens": src_tokens, "src_lengths": torch.full((batch,), tokens)},
        "target": torch.randint(2, (batch,)),
        "nsentences": batch,
        "ntokens": batch * tokens,
        "examples": batch,
    }


def compared(what: str, taken: dict[str, list[float]], baseline: str) -> dict:
    """All values, the medians, and the ratio of each other median to the baseline's."""
    medians = {name: statistics.median(values) for name, values in taken.items()}
    return {
        what: {name: [round(value, 3) for value in values] for name, values in taken.items()},
        f"median_{what}": {name: round(value, 3) for name, value in medians.items()},
        f"ratio_of_{what}": {name: round(value / medians[baseline], 4)
                             for name, value in medians.items() if name != baseline},
    }


def setting() -> dict:
    """The conditions of the measurements besides the flags."""
    return {"threads": torch.get_num_threads(), "dtype": "float32", "torch": torch.__version__,
            "machine": platform.processor() or platform.machine()}


def main(argv: list[str] | None = None) -> None:
    """Raises UserError for a user's mistake; argparse's own errors exit with 2."""
    options = parser("benchmark_training.sh", __doc__)
    options.add_argument("--steps", type=integer, default=10, help="timed steps of each model")
    options.add_argument("--warm-up", type=integer, default=2, help="steps of each before")
    options.add_argument("--batch", type=integer, default=32, help="sentences a step")
    options.add_argument("--tokens", type=integer, default=64, help="tokens a sentence")
    options.add_argument("--layers", type=integer, default=12, help="layers of both encoders")
    options.add_argument("--seed", type=integer, default=1)
    flags = options.parse_args(argv)
    check_ranges(flags, RANGES)
    torch.manual_seed(flags.seed)
    layers = ("--encoder-layers", str(flags.layers))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dictionaries(Path(folder))
        trainings = {"stock": Training(Path(folder), STOCK + layers), "palbert": Training(Path(folder), OURS + layers)}
        sample = make_sample(flags.batch, flags.tokens)
        taken = {name: [] for name in trainings}
        for round_ in range(flags.warm_up + flags.steps):
            for name in sorted(trainings, reverse=round_ % 2 == 0):  # each goes first in half of the rounds
                clock, processor = trainings[name].step(sample)
                print(f"round {round_ - flags.warm_up + 1:3d} {name:8s} {clock:.3f} s", file=sys.stderr)
                if round_ >= flags.warm_up:
                    taken[name].append((clock, processor))
    print(json.dumps({
        **compared("seconds", {name: [clock for clock, _ in steps] for name, steps in taken.items()}, "stock"),
        **compared("processor_seconds", {name: [cpu for _, cpu in steps] for name, steps in taken.items()}, "stock"),
        "parameters": {name: training.parameters() for name, training in trainings.items()},
        **{name: getattr(flags, name) for name in ("batch", "tokens", "layers", "seed")},
        **setting(),
    }, indent=2))


if __name__ == "__main__":
    run(main)
