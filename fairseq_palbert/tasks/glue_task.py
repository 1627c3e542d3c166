"""``--task glue``: sentence classification and regression on binarized GLUE data."""

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Optional

import numpy as np
import torch
from fairseq import metrics
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from ..compat.fairseq_registries import model_class
from ..errors import UserError
from ..glue.definitions import CALIBRATION, TASKS, glue_task, label_order
from ..glue.metrics import GlueMetrics
from .binarized import BinarizedFolder
from .dataset import GlueDataset
from .same_tokenizer import check_same_tokenizer, tokenizer_state

logger = logging.getLogger(__name__)
HOLDOUT, GATE = "holdout", "gate"
CALIBRATION_FRACTION = 0.25  # of the holdout
SHUFFLE_SEED = 0  # not --seed, so that runs of several seeds train and are selected on the same examples


@dataclass
class GlueConfig(FairseqDataclass):
    data: str = field(default=MISSING, metadata={"help": "folder of the binarized task, as preprocess.glue leaves it"})
    glue_task: Optional[str] = field(
        default=None, metadata={"help": f"GLUE task, which fixes columns, labels and metric: {', '.join(TASKS)}"}
    )
    max_positions: int = field(
        default=512,
        metadata={"help": "tokens of an example, special ones included; longer ones lose tokens of the longer sentence "
                          "first"},
    )
    label_order: Optional[str] = field(
        default=None,
        metadata={"help": "labels by class id, comma-separated, to match a checkpoint's (default: the task table's "
                          "order)"},
    )
    holdout_fraction: float = field(
        default=0.0,
        metadata={"help": "part of train that becomes the split 'holdout' instead, to select on (--valid-subset "
                          "holdout); three quarters of it are the split 'gate', the last the split 'calibration'"},
    )
    train_examples: Optional[int] = field(
        default=None,
        metadata={"help": "train on this many rows of a seeded shuffle of train, the same for every --seed (default: "
                          "all)"},
    )
    length_pool: int = field(
        default=1,
        metadata={"help": "batches of shuffled training examples that are sorted by length together: saves padding, "
                          "and makes each batch less of a random sample, which may cost score; 1 sorts none"},
    )
    seed: int = II("common.seed")
    valid_subset: str = II("dataset.valid_subset")
    ignore_unused_valid_subsets: Optional[bool] = II("dataset.ignore_unused_valid_subsets")


@register_task("glue", dataclass=GlueConfig)
class GlueSentenceTask(FairseqTask):
    """One GLUE task: its data, its labels and its metrics.

    ``glue_task`` is the row of the task table, ``labels`` the order of the class ids, ``metrics`` the task's metrics.
    """

    @classmethod
    def setup_task(cls, cfg: GlueConfig, **_):
        if cfg.glue_task is None:
            raise UserError(f"--task glue needs --glue-task: choose from {', '.join(TASKS)}")
        return cls(cfg)

    def __init__(self, cfg: GlueConfig):
        super().__init__(cfg)
        self.glue_task = glue_task(cfg.glue_task)
        self.labels = _label_order(cfg.label_order, self.glue_task)
        _check_config(cfg, self.glue_task)
        self.metrics = GlueMetrics(self.glue_task, self.labels)
        self.folder = BinarizedFolder(cfg.data, self.glue_task, self.labels)

    @property
    def source_dictionary(self):
        return self.folder.dictionary

    @property
    def target_dictionary(self):
        return None

    def max_positions(self) -> int:
        return self.cfg.max_positions

    def load_dataset(self, split: str, **_) -> GlueDataset:
        """Loads a split of the folder, or ``holdout``, the part of train that ``--holdout-fraction`` sets aside, or one
        of its two parts: ``gate``, for a second phase of training, and ``calibration``, to choose thresholds on.

        Raises UserError for a split that is missing, damaged or empty, and for more ``--train-examples`` than there
        are.
        """
        loaded = self.folder.load("train" if split in (HOLDOUT, GATE, CALIBRATION) else split)
        ids = self._ids(split, len(loaded))
        dataset = GlueDataset(loaded, ids, self.cfg.max_positions, shuffle=split in ("train", GATE),
                              length_pool=self.cfg.length_pool)
        part = "" if len(ids) == len(loaded) else f" of the {len(loaded)} rows of train, by a seeded shuffle"
        logger.info(f"{self.glue_task.name} {split}: {len(dataset)} examples{part}, {dataset.truncated} of them "
                    f"truncated to {self.cfg.max_positions} tokens")
        self.datasets[split] = dataset
        return dataset

    def _ids(self, split: str, rows: int) -> np.ndarray:
        """The rows of a split's examples. Of one shuffle of train, the holdout is the beginning, and training goes
        on there; the end of the holdout calibrates, and what is before that is the gate's."""
        if split not in ("train", HOLDOUT, GATE, CALIBRATION):
            return np.arange(rows)
        order = np.random.RandomState(SHUFFLE_SEED).permutation(rows)
        held_out, left = np.split(order, [round(self.cfg.holdout_fraction * rows)])
        gate, calibration = np.split(held_out, [len(held_out) - round(CALIBRATION_FRACTION * len(held_out))])
        if split != "train":
            part = {HOLDOUT: held_out, GATE: gate, CALIBRATION: calibration}[split]
            if not len(part):
                raise UserError(f"the split {split!r} is empty: set --holdout-fraction, such as 0.1")
            return np.sort(part)
        wanted = self.cfg.train_examples or len(left)
        if wanted > len(left):
            raise UserError(f"--train-examples {wanted}: {self.folder.folder} has {len(left)} rows to train on: lower "
                            "it, or leave it out to train on all")
        return np.sort(left[:wanted])

    def get_batch_iterator(self, dataset, max_tokens=None, required_batch_size_multiple=None, **options):
        """As fairseq's, but any batch size will do: a multiple above 1 makes fairseq drop the last batch (trap of its
        default, 8), and an example longer than ``--max-tokens`` is refused by name."""
        if max_tokens is not None and dataset.sizes.max() > max_tokens:
            raise UserError(f"--max-tokens {max_tokens} is less than the longest example, {dataset.sizes.max()} "
                            "tokens: raise it, or lower --max-positions")
        return super().get_batch_iterator(dataset, max_tokens=max_tokens, required_batch_size_multiple=1, **options)

    def build_model(self, cfg, from_checkpoint=False):
        if not from_checkpoint:
            model_class(cfg._name).follow_checkpoint(cfg)
        model = super().build_model(cfg, from_checkpoint)
        if self.cfg.max_positions > model.max_positions():
            raise UserError(f"--max-positions {self.cfg.max_positions} is more than the model has, "
                            f"{model.max_positions()}: lower it, or raise --encoder-max-positions")
        if not from_checkpoint:
            model.start_training(self)
        return model

    def state_dict(self) -> dict[str, Any]:
        """What fairseq keeps in every checkpoint as ``task_state``: see ``tokenizer_state``."""
        return tokenizer_state(self.folder)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """fairseq's commands call this with a checkpoint's ``task_state``, which must fit the data; nothing is taken
        over."""
        self.check_checkpoint("the checkpoint", {"task_state": state_dict})

    def check_checkpoint(self, name: str, state: dict[str, Any]) -> None:
        """Raises UserError where the checkpoint ``state`` was trained on another tokenizer or dictionary than the
        data's."""
        check_same_tokenizer(name, state, self.folder)

    def check_classifier(self, name: str, state: dict[str, Any]) -> None:
        """Raises UserError where the checkpoint's outputs do not mean this task's labels."""
        trained_with = (state.get("cfg") or {}).get("task") or {}
        theirs = trained_with.get("glue_task")
        if theirs != self.glue_task.name or label_order(trained_with) != tuple(self.labels):
            raise UserError(f"{name} was trained for {theirs}: its classifier can be kept for {self.glue_task.name} "
                            "where it is of that task, with the same --label-order")

    def begin_epoch(self, epoch, model):
        """fairseq calls this before the first batch of an epoch."""
        model.begin_epoch(dataset[i]["tokens"] for dataset in self.datasets.values() for i in range(len(dataset)))

    @cached_property
    def target_variance(self) -> float:
        """Of a regression, over all rows of train."""
        return float(self.folder.load("train").targets.double().var(unbiased=False))

    def check_held_out(self, name: str, state: dict[str, Any], train_subset: str) -> None:
        """Raises UserError where a second phase would learn on rows that the checkpoint's layers were trained on."""
        theirs = float(((state.get("cfg") or {}).get("task") or {}).get("holdout_fraction") or 0)
        if not theirs:
            raise UserError(f"{name} was trained without --holdout-fraction, and a lambda module learns nothing on "
                            "rows that the layers have seen: train it again with one, such as 0.1")
        if theirs != self.cfg.holdout_fraction or train_subset != GATE:
            raise UserError(f"--train-only lambda learns on rows that {name} has held out: add --train-subset {GATE} "
                            f"--holdout-fraction {theirs:g}")

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """As fairseq's. A worker without a batch of its own, at the end of an epoch, gets one that may be from a
        validation split; its sums count nothing, but must have the shapes of the training split's to be added to
        them."""
        if ignore_grad:
            sample = {**sample, "id": torch.zeros_like(sample["id"]), "examples": len(self.datasets["train"].split)}
        criterion.updates = update_num
        return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)

    def reduce_metrics(self, logging_outputs, criterion):
        """Adds the task's GLUE metrics to what fairseq and the criterion log."""
        super().reduce_metrics(logging_outputs, criterion)
        statistics = sum(log["statistics"] for log in logging_outputs)
        # fairseq adds up validation splits, and a regression's differ in length
        key = f"_statistics_{statistics.shape[-1]}"
        metrics.log_scalar_sum(key, torch.as_tensor(statistics).cpu(), priority=0)
        for name in (*self.metrics.names, "score"):
            metrics.log_derived(name, lambda meters, name=name: self.metrics(meters[key].sum)[name])


def _label_order(order: str | None, task) -> tuple[str, ...]:
    labels = tuple(order.split(",")) if order else task.labels
    if sorted(labels) != sorted(task.labels):
        raise UserError(f"--label-order {order}: {task.name} has the labels "
                        f"{','.join(task.labels) or '(none: regression)'}")
    return labels


def _check_config(cfg: GlueConfig, task) -> None:
    if not 0 <= cfg.holdout_fraction < 1:
        raise UserError(f"--holdout-fraction {cfg.holdout_fraction}: choose a part of train from 0 up to, not "
                        "including, 1")
    if cfg.train_examples is not None and cfg.train_examples < 1:
        raise UserError(f"--train-examples {cfg.train_examples}: at least 1, or leave it out to train on all")
    if cfg.max_positions < 8:
        raise UserError(f"--max-positions {cfg.max_positions}: at least 8 tokens are needed for a pair and its marks")
    if cfg.length_pool < 1:
        raise UserError(f"--length-pool {cfg.length_pool}: at least 1, which sorts nothing")
    missing = [split for split in task.valid_splits if split not in cfg.valid_subset.split(",")]
    if "valid" in cfg.valid_subset.split(",") and missing and not cfg.ignore_unused_valid_subsets:
        splits = ",".join(task.valid_splits)
        raise UserError(f"{task.name} has the validation splits {splits}: pass --valid-subset {splits} (checkpoints "
                        "are selected on the first), or --ignore-unused-valid-subsets")
