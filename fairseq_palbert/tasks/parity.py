"""``--task parity``: is the number of ones in a vector odd?"""

import logging
from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import register_task
from omegaconf import II

from ..definitions.definition import Source, Split, TaskDefinition
from ..errors import UserError
from .early_exit_task import EarlyExitTask
from .parity_vectors import ParityDataset
from .trained_task import task_state

logger = logging.getLogger(__name__)
SPLITS = ("train", "valid", "test")
LARGEST = 2**28  # entries of a split, which is drawn as a whole
# A definition names files; these are drawn, and there are none.
PARITY = TaskDefinition("Parity", ("vector",), "parity", ("accuracy",),
                        tuple(Split(split, Source("none.tsv")) for split in SPLITS), labels=("even", "odd"))


@dataclass
class ParityConfig(FairseqDataclass):
    vector_size: int = field(default=8, metadata={"help": "entries P of a vector (ACT and PonderNet: 64)"})
    extrapolate: bool = field(
        default=False, metadata={"help": "train and validate on vectors with 1..P/2 entries that are not 0, and test "
                                         "on P/2+1..P; otherwise all splits have 1..P"}
    )
    train_vectors: int = field(default=12800, metadata={"help": "vectors of an epoch; every epoch draws new ones"})
    valid_vectors: int = field(
        default=1000, metadata={"help": "vectors of valid, and of test; they are the same for every --seed"}
    )
    seed: int = II("common.seed")
    patience: int = II("checkpoint.patience")
    train_subset: str = II("dataset.train_subset")


@register_task("parity", dataclass=ParityConfig)
class ParityTask(EarlyExitTask):
    """Vectors that are drawn from a seed and stored nowhere, the splits train, valid and test; see ``draw``."""

    @classmethod
    def setup_task(cls, cfg: ParityConfig, **_):
        return cls(cfg)

    def __init__(self, cfg: ParityConfig):
        _check_config(cfg)
        super().__init__(cfg, PARITY)

    @property
    def source_dictionary(self):
        raise UserError("--task parity has vectors, not words: choose --arch ponder_rnn or act_rnn")

    @property
    def vector_size(self) -> int:
        return self.cfg.vector_size

    def max_positions(self) -> int:
        return 1

    def load_dataset(self, split: str, **_) -> ParityDataset:
        """Draws a split. Raises UserError for another than train, valid and test."""
        if split not in SPLITS:
            raise UserError(f"--task parity has no split {split!r:.100}: choose from {', '.join(SPLITS)}")
        size, in_train = self.cfg.vector_size, split == "train"
        half = size // 2
        least, most = (1, size) if not self.cfg.extrapolate else (half + 1, size) if split == "test" else (1, half)
        seed = [SPLITS.index(split), *([self.cfg.seed] if in_train else [])]
        examples = self.cfg.train_vectors if in_train else self.cfg.valid_vectors
        self.datasets[split] = ParityDataset(seed, examples, size, least, most, fresh=in_train)
        logger.info(f"parity {split}: {examples} vectors of {size} entries, {least} to {most} of them not 0")
        return self.datasets[split]

    def state_dict(self) -> dict[str, Any]:
        """The ``task_state`` that fairseq saves in every checkpoint."""
        return task_state(self.definition)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The vectors' size is checked by the model's tensors: nothing else of the state is needed."""


def _check_config(cfg: ParityConfig) -> None:
    if cfg.vector_size < 2:
        raise UserError(f"--vector-size {cfg.vector_size}: at least 2")
    for name in ("train_vectors", "valid_vectors"):
        count = getattr(cfg, name)
        if not 1 <= count <= LARGEST // cfg.vector_size:
            raise UserError(f"--{name.replace('_', '-')} {count}: from 1 to {LARGEST // cfg.vector_size} vectors of "
                            f"{cfg.vector_size} entries")
