"""``--task glue``: sentence classification and regression on binarized data."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import register_task
from omegaconf import II, MISSING

from ..definitions.definition import CALIBRATION, GATE, HOLDOUT, PARTS_OF_TRAIN, TaskDefinition, held_out
from ..definitions.packaged import packaged
from ..errors import UserError
from .binarized import BinarizedFolder
from .dataset import SentenceDataset
from .early_exit_task import EarlyExitTask
from .same_tokenizer import check_same_tokenizer, tokenizer_state
from .trained_task import task_state, trained_task

logger = logging.getLogger(__name__)
SHUFFLE_SEED = 0  # not --seed: all seeds train, and select checkpoints, on the same examples


@dataclass
class SentenceConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder of the binarized task, made by palbert data"})
    glue_task: Optional[str] = field(
        default=None,
        metadata={"help": f"name of the task: {', '.join(packaged())}, or that of your own task file (default: that of "
                          "the data folder)"},
    )
    max_positions: int = field(
        default=512,
        metadata={"help": "maximum number of tokens of an example, special tokens included; longer examples lose "
                          "tokens of their longer sentence first"},
    )
    label_order: Optional[str] = field(
        default=None,
        metadata={"help": "labels in the order of their class ids, comma-separated, to match a checkpoint's (default: "
                          "the definition's order)"},
    )
    holdout_fraction: float = field(
        default=0.0,
        metadata={"help": "fraction of train that is set aside as the split 'holdout', to select checkpoints on "
                          "(--valid-subset holdout); its first three quarters are the split 'gate', its last quarter "
                          "is the split 'calibration'"},
    )
    train_examples: Optional[int] = field(
        default=None,
        metadata={"help": "train on this many rows of a seeded shuffle of train, the same for every --seed (default: "
                          "all)"},
    )
    length_pool: int = field(
        default=1,
        metadata={"help": "number of batches whose shuffled training examples are sorted by length together; saves "
                          "padding, but makes each batch less of a random sample, which may lower the score; 1 sorts "
                          "none"},
    )
    seed: int = II("common.seed")
    patience: int = II("checkpoint.patience")
    train_subset: str = II("dataset.train_subset")
    valid_subset: str = II("dataset.valid_subset")
    ignore_unused_valid_subsets: Optional[bool] = II("dataset.ignore_unused_valid_subsets")


@register_task("glue", dataclass=SentenceConfig)
class SentenceTask(EarlyExitTask):
    """One task: its data and its metrics.

    ``definition`` is what the data folder says of the task, with the labels in the order of the class ids.
    """

    @classmethod
    def setup_task(cls, cfg: SentenceConfig, **_):
        return cls(cfg, cfg.label_order.split(",") if cfg.label_order else None)

    def __init__(self, cfg: SentenceConfig, labels: Sequence[str] | None = None):
        """``labels``: in the order of the class ids, by default that of the definition."""
        self.folder = BinarizedFolder(cfg.data, cfg.glue_task, labels)
        super().__init__(cfg, self.folder.task)
        _check_config(cfg, self.definition)

    @property
    def source_dictionary(self):
        return self.folder.dictionary

    def max_positions(self) -> int:
        return self.cfg.max_positions

    def load_dataset(self, split: str, **_) -> SentenceDataset:
        """Loads a split of the folder, or a part of train.

        ``holdout`` is the part of train that ``--holdout-fraction`` sets aside. It has two parts: ``gate``, for a
        second phase of training, and ``calibration``, to choose thresholds on.

        Raises UserError for a split that is missing, damaged or empty, and for more ``--train-examples`` than there
        are.
        """
        loaded = self.folder.load("train" if split in PARTS_OF_TRAIN else split)
        ids = self._ids(split, np.arange(len(loaded)) if loaded.groups is None else loaded.groups.numpy())
        dataset = SentenceDataset(loaded, ids, self.cfg.max_positions, shuffle=split in ("train", GATE),
                              length_pool=self.cfg.length_pool)
        part = "" if len(ids) == len(loaded) else f" of the {len(loaded)} rows of train, by a seeded shuffle"
        logger.info(f"{self.definition.name} {split}: {len(dataset)} examples{part}, {dataset.truncated} of them "
                    f"truncated to {self.cfg.max_positions} tokens")
        self.datasets[split] = dataset
        return dataset

    def _ids(self, split: str, groups: np.ndarray) -> np.ndarray:
        """The rows of a split's examples.

        Rows of train are taken in one shuffled order of their ``groups``, which without groups are the rows themselves:
        first ``gate``, then ``calibration``, which together are ``holdout``, then ``train``. Shape of groups: [S].
        """
        if split not in ("train", *PARTS_OF_TRAIN):
            return np.arange(len(groups))
        sizes = np.bincount(groups)
        order = np.random.RandomState(SHUFFLE_SEED).permutation(len(sizes))
        rows = np.argsort(order.argsort()[groups], kind="stable")
        rows_of_first = np.concatenate([[0], sizes[order].cumsum()])
        gates, calibrations = held_out(len(sizes), self.cfg.holdout_fraction)
        holdout, remaining = np.split(rows, [rows_of_first[gates + calibrations]])
        gate, calibration = np.split(holdout, [rows_of_first[gates]])
        if split != "train":
            part = {HOLDOUT: holdout, GATE: gate, CALIBRATION: calibration}[split]
            if not len(part):
                raise UserError(f"the split {split!r} is empty: set --holdout-fraction, such as 0.1")
            return np.sort(part)
        if not len(remaining):
            raise UserError(f"the split 'train' is empty: lower --holdout-fraction {self.cfg.holdout_fraction}, such "
                            "as to 0.1")
        wanted = self.cfg.train_examples or len(remaining)
        if wanted > len(remaining):
            raise UserError(f"--train-examples {wanted}: {self.folder.folder} has {len(remaining)} rows to train on: "
                            "lower it, or leave it out to train on all")
        return np.sort(remaining[:wanted])

    def get_batch_iterator(self, dataset, max_tokens=None, **options):
        """Raises UserError for an example longer than ``--max-tokens``."""
        if max_tokens is not None and dataset.sizes.max() > max_tokens:
            raise UserError(f"--max-tokens {max_tokens} is less than the longest example, {dataset.sizes.max()} "
                            "tokens: raise it, or lower --max-positions")
        return super().get_batch_iterator(dataset, max_tokens=max_tokens, **options)

    def build_model(self, cfg, from_checkpoint=False):
        """Raises UserError for a data folder with a colon, and for more ``--max-positions`` than the model has."""
        if not from_checkpoint and ":" in self.cfg.data:
            raise UserError(f"{self.cfg.data}: fairseq separates data folders by ':': choose a path without one")
        model = super().build_model(cfg, from_checkpoint)
        if self.cfg.max_positions > model.max_positions():
            raise UserError(f"--max-positions {self.cfg.max_positions} is more than the model has, "
                            f"{model.max_positions()}: lower it, or raise --encoder-max-positions")
        return model

    def state_dict(self) -> dict[str, Any]:
        """The ``task_state`` that fairseq saves in every checkpoint: the tokenizer and the task."""
        return tokenizer_state(self.folder) | task_state(self.definition)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Checks that a checkpoint's ``task_state`` fits the data, when fairseq's commands load it."""
        self.check_checkpoint("the checkpoint", {"task_state": state_dict})

    def check_checkpoint(self, name: str, state: dict[str, Any]) -> None:
        """Raises UserError where ``state`` was trained with another tokenizer or dictionary than the data's."""
        check_same_tokenizer(name, state, self.folder)

    def check_classifier(self, name: str, state: dict[str, Any]) -> None:
        """Raises UserError where the checkpoint's class ids do not stand for this task's labels."""
        trained = trained_task(name, state)
        if (trained.name, trained.labels) != (self.definition.name, self.definition.labels):
            raise UserError(f"{name} was trained for {trained.name}: its classifier can be kept for "
                            f"{self.definition.name} only if it was trained for that task, with the same labels in the "
                            "same order")

    def begin_epoch(self, epoch, model):
        """fairseq calls this before the first batch of an epoch."""
        model.begin_epoch(dataset[i]["tokens"] for dataset in self.datasets.values() for i in range(len(dataset)))

    @cached_property
    def target_variance(self) -> float:
        """The variance of a regression's targets over all rows of train."""
        return float(self.folder.load("train").targets.double().var(unbiased=False))

    def check_held_out(self, name: str, state: dict[str, Any], train_subset: str) -> None:
        """Raises UserError where a second phase would train on rows that the checkpoint's layers were trained on."""
        holdout_fraction = float(_trained_with(state).get("holdout_fraction") or 0)
        if not holdout_fraction:
            raise UserError(f"{name} was trained without --holdout-fraction, and a lambda module learns nothing on "
                            "rows that the layers have seen: train it again with one, such as 0.1")
        if holdout_fraction != self.cfg.holdout_fraction or train_subset != GATE:
            raise UserError(f"--train-only lambda learns on rows that {name} has held out: add --train-subset {GATE} "
                            f"--holdout-fraction {holdout_fraction:g}")


    def check_still_held_out(self, name: str, state: dict[str, Any]) -> None:
        """Raises UserError where this run holds out rows that the checkpoint was trained on: they choose thresholds."""
        before, now = _trained_with(state), self.cfg.holdout_fraction
        earlier = float(before.get("holdout_fraction") or 0)
        if now and earlier != now and before.get("glue_task") == self.cfg.glue_task:
            raise UserError(f"{name} was trained on rows that --holdout-fraction {now:g} holds out: train it with that "
                            f"flag too, or leave it at {earlier:g}")


def _trained_with(state: dict[str, Any]) -> dict[str, Any]:
    """The task's settings that a checkpoint records."""
    return (state.get("cfg") or {}).get("task") or {}


def _check_config(cfg: SentenceConfig, task: TaskDefinition) -> None:
    if not 0 <= cfg.holdout_fraction < 1:
        raise UserError(f"--holdout-fraction {cfg.holdout_fraction}: choose a part of train from 0 up to, not "
                        "including, 1")
    if cfg.train_examples is not None and cfg.train_examples < 1:
        raise UserError(f"--train-examples {cfg.train_examples}: at least 1, or leave it out to train on all")
    if cfg.max_positions < 8:
        raise UserError(f"--max-positions {cfg.max_positions}: at least 8, for a pair and its special tokens")
    if cfg.length_pool < 1:
        raise UserError(f"--length-pool {cfg.length_pool}: at least 1, which sorts nothing")
    missing = [split for split in task.valid_splits if split not in cfg.valid_subset.split(",")]
    if "valid" in cfg.valid_subset.split(",") and missing and not cfg.ignore_unused_valid_subsets:
        splits = ",".join(task.valid_splits)
        raise UserError(f"{task.name} has the validation splits {splits}: pass --valid-subset {splits} (checkpoints "
                        "are selected on the first), or --ignore-unused-valid-subsets")
