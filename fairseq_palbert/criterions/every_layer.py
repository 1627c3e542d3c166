"""What the criterions share: every layer's loss, what every layer gets right, and how that is logged.

Sizes: N layers, B sentences, K outputs.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..modules.pondering import HeadsShape, PonderOutput


@dataclass(frozen=True)
class Objective:
    """The ``loss`` to minimise, summed over the batch; each sentence's ``exit_layers`` [B] of 1..N, where the task's
    metrics are taken; and further ``sums`` to log, scalars and [N]."""

    loss: Tensor
    exit_layers: Tensor
    sums: dict[str, Tensor]


class EveryLayerCriterion(FairseqCriterion):
    """Mean over sentences of something made of L(ŷ_n, y), n = 1..N: cross-entropy in nats, or squared error.

    ``scalars`` and ``by_layer`` name what is logged as means per sentence, the latter as ``NAME_1`` .. ``NAME_N``.
    """

    name: ClassVar[str]
    scalars: ClassVar[tuple[str, ...]] = ("loss",)
    by_layer: ClassVar[tuple[str, ...]] = ("accuracy", "squared_error")

    def __init__(self, task):
        super().__init__(task)
        if not hasattr(task, "glue_task"):
            raise UserError(f"--criterion {self.name} needs --task glue")
        self.regression = task.glue_task.regression

    @abstractmethod
    def check_heads(self, heads: HeadsShape) -> None:
        """Raises UserError for a model that this criterion cannot train."""

    @abstractmethod
    def objective_of(self, output: PonderOutput, losses: Tensor) -> Objective:
        """Shape: losses [N, B]."""

    def ask(self, model, sample: dict) -> PonderOutput:
        """The model's answer to a batch."""
        return model(**sample["net_input"])

    def forward(self, model, sample, reduce=True):
        """Returns the loss summed over the batch, B, and the sums to log."""
        if "target" not in sample:
            raise UserError("this split has no labels: train and validate on one that has, or predict with "
                            "python -m fairseq_palbert.evaluation")
        self.check_heads(model.network.heads_shape)
        output = self.ask(model, sample)
        objective = self.objective_of(output, self.layer_losses(output.logits, sample["target"]))
        with torch.no_grad():
            log = {
                "loss": objective.loss.detach(),
                **objective.sums,
                **self._right(output.logits, objective.exit_layers, sample),
                "nsentences": sample["nsentences"],
                "ntokens": sample["ntokens"],
                "sample_size": sample["nsentences"],
            }
        return objective.loss, sample["nsentences"], log

    def layer_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats, or squared error. Shape: [N, B, K], [B] -> [N, B]."""
        if self.regression:
            return (logits.squeeze(-1).float() - targets.float()) ** 2
        # [N, B, K] -> [B, K, N], as cross_entropy has it
        return F.cross_entropy(logits.float().permute(1, 2, 0), targets[:, None].expand(-1, len(logits)),
                               reduction="none").T

    def _right(self, logits: Tensor, exit_layers: Tensor, sample: dict) -> dict[str, Tensor]:
        """What each layer and the exits get right, summed over the batch."""
        targets = sample["target"]
        predictions = logits.squeeze(-1) if self.regression else logits.argmax(-1)  # [N, B]
        at_exit = predictions.gather(0, exit_layers[None] - 1)[0]
        if self.regression:
            by_layer = {"squared_error": ((predictions.float() - targets.float()) ** 2).sum(1)}
        else:
            by_layer = {"accuracy": predictions.eq(targets).sum(1)}
        return {**by_layer, "statistics": self.task.metrics.statistics(at_exit, targets, sample["id"], sample["examples"])}

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Logs means per sentence."""
        sentences = float(sum(log["sample_size"] for log in logging_outputs))
        for name in cls.scalars:
            metrics.log_scalar(name, float(sum(log[name] for log in logging_outputs)) / sentences, sentences)
        for name in (name for name in cls.by_layer if name in logging_outputs[0]):
            for n, total in enumerate(sum(log[name] for log in logging_outputs).tolist(), start=1):
                metrics.log_scalar(f"{name}_{n}", total / sentences, sentences)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
