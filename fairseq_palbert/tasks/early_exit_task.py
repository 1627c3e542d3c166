"""The base of the tasks: what training and logging of early-exit classifiers need of any data."""

import logging
import sys
from typing import Any

import torch
from fairseq import metrics
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask

from ..compat.fairseq_registries import model_class
from ..compat.fairseq_trainer import count_patience_on, end_divergence_by, log_anew_from, patience_counts
from ..definitions.definition import TaskDefinition
from ..definitions.metrics import TaskMetrics
from ..errors import UserError
from .divergence import LatestUpdate

logger = logging.getLogger(__name__)


class EarlyExitTask(FairseqTask):
    """A task with a ``definition``, whose labels are in the order of the class ids, and its ``metrics``.

    ``cfg`` has the fields ``patience`` and ``train_subset``. The item ``i`` of each dataset is a dictionary with
    ``id``, ``tokens``, and ``target`` where labels are known; ``split`` is all that the dataset takes its items from.
    """

    def __init__(self, cfg: FairseqDataclass, definition: TaskDefinition):
        super().__init__(cfg)
        self.definition = definition
        self.metrics = TaskMetrics(definition)
        self.latest_update = LatestUpdate()

    @property
    def target_dictionary(self):
        return None

    def get_batch_iterator(self, dataset, required_batch_size_multiple=None, **options):
        """fairseq's iterator, with a batch size multiple of 1: above 1, as by default, fairseq drops the last batch."""
        return super().get_batch_iterator(dataset, required_batch_size_multiple=1, **options)

    def build_model(self, cfg, from_checkpoint=False):
        """Completes the settings, in place, and lets the model check them before training.

        Raises UserError for a model of another package.
        """
        if not from_checkpoint:
            if not hasattr(model_class(cfg._name), "complete_settings"):
                raise UserError(f"--arch {cfg._name} has no exits: choose palbert_FAMILY, or with --task parity "
                                "ponder_rnn or act_rnn")
            end_divergence_by(self.end_diverged)
            model_class(cfg._name).complete_settings(cfg)
        model = super().build_model(cfg, from_checkpoint)
        if not from_checkpoint:
            model.start_training(self)
        return model

    def get_checkpoint_dict(self) -> dict[str, Any]:
        """What ``--patience`` counts, which fairseq itself forgets."""
        return {type(self).__name__: {"patience": patience_counts()}}

    def set_checkpoint_dict(self, state_dict: dict[str, Any]) -> None:
        """Counts on from a checkpoint, and ends the process with status 0 where ``--patience`` has ended training.

        Raises UserError where the checkpoint has no such counts.
        """
        match state_dict:
            case {"patience": {"best": None | float() | int() as best, "num_runs": int(validations)}}:
                count_patience_on(best, validations)
            case _:
                raise UserError("the checkpoint's counts for --patience are damaged: go on from another checkpoint")
        if 0 < self.cfg.patience <= validations:
            logger.info(f"--patience {self.cfg.patience} has ended this training: nothing to do")
            sys.exit(0)

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        """fairseq's step, whose sums have the training split's shapes in a worker without a batch as well.

        At the end of an epoch fairseq gives such a worker a batch that may be of a validation split. Its sums do not
        count (``ignore_grad``), but are added to the others'.
        """
        if ignore_grad:
            examples = len(self.datasets[self.cfg.train_subset].split)
            sample = {**sample, "id": torch.zeros_like(sample["id"]), "examples": examples}
        criterion.updates = update_num
        log_anew_from(update_num + 1)
        loss, sentences, log = super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)
        self.latest_update.add(update_num + 1, loss, sentences)
        return loss, sentences, log

    def end_diverged(self, model) -> None:
        """fairseq's trainer calls this for a gradient that is not finite. Raises UserError."""
        raise self.latest_update.diverged()

    def reduce_metrics(self, logging_outputs, criterion):
        """Adds the task's metrics to what fairseq and the criterion log; in training there are none of groups.

        Raises UserError where the loss is not finite, before fairseq saves a checkpoint of such a model.
        """
        self.latest_update.check_logged(float(sum(log.get("loss", 0.0) for log in logging_outputs)))
        super().reduce_metrics(logging_outputs, criterion)
        if "statistics" not in logging_outputs[0]:
            return
        statistics = sum(log["statistics"] for log in logging_outputs)
        # one key a shape: fairseq adds up validation splits, whose statistics differ in length for a regression
        key = "_statistics_{}_{}".format(*statistics.shape)
        metrics.log_scalar_sum(key, torch.as_tensor(statistics).cpu(), priority=0)
        for name in (*self.metrics.names, "score"):
            metrics.log_derived(name, lambda meters, name=name: self.metrics(meters[key].sum)[name])
