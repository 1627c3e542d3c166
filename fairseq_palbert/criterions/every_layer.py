"""The base of the criterions: losses, metrics and logs per layer.

Sizes: N layers, B sentences, K outputs.
"""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from torch import Tensor
from torch.nn import functional as F

from ..definitions.metrics import References
from ..errors import UserError
from ..modules.encoder import EncoderShape
from ..modules.pondering import PonderOutput
from .distillation import DISTILL_KLS, Distillation
from .freelb import FreeLB


@dataclass
class EveryLayerConfig(FairseqDataclass):
    distill_weight: float = field(
        default=0.0, metadata={"help": "weight of distillation from the last layer in the losses of layers 1..N-1; "
                                       "0 is off"}
    )
    distill_temperature: float = field(default=1.0, metadata={"help": "temperature T of the distillation"})
    distill_kl: ChoiceEnum(DISTILL_KLS) = field(
        default="teacher_student", metadata={"help": "KL(last || layer) (Hinton), or KL(layer || last) (FastBERT)"}
    )
    freelb_steps: int = field(
        default=0, metadata={"help": "passes with adversarial noise on the embeddings (FreeLB: 2 or 3); 0 is off"}
    )
    freelb_lr: float = field(default=0.1, metadata={"help": "step size of the adversarial noise"})
    freelb_norm: float = field(default=0.3, metadata={"help": "largest L2 norm of a sentence's noise"})


@dataclass(frozen=True)
class Objective:
    """The ``loss`` to minimise, summed over the batch, and what to log.

    ``answers`` [B, K] are the logits, or values, of which the task's metrics are taken; ``sums`` are scalars and [N].
    """

    loss: Tensor
    answers: Tensor
    sums: dict[str, Tensor]


def answers_at(logits: Tensor, exit_layers: Tensor) -> Tensor:
    """The answers of these layers, counted from 1. Shape: [N, B, K], [B] -> [B, K]."""
    return logits[exit_layers - 1, torch.arange(len(exit_layers), device=logits.device)]


class EveryLayerCriterion(FairseqCriterion):
    """Mean over sentences of an objective of L(ŷ_n, y), n = 1..N: cross-entropy in nats, or squared error.

    A learned-exit head adds the mean over n < N of (σ(error logit) − e_n)². e_n is the error of layer n: 0 or 1 for
    classes, |tanh(ŷ_n − y)| for regression (BERxiT, EACL 2021). ``updates`` counts the updates made so far.
    ``scalars`` and ``by_layer`` name what is logged as means per sentence, the latter as ``NAME_1`` .. ``NAME_N``.
    """

    name: ClassVar[str]
    scalars: ClassVar[tuple[str, ...]] = ("loss", "exit_loss")
    by_layer: ClassVar[tuple[str, ...]] = ("accuracy", "squared_error")

    def __init__(self, cfg: EveryLayerConfig, task):
        super().__init__(task)
        if not hasattr(task, "definition"):
            raise UserError(f"--criterion {self.name} needs --task glue or parity")
        _check_config(cfg)
        self.regression = task.definition.regression
        self.distillation = Distillation(cfg.distill_weight, cfg.distill_temperature, str(cfg.distill_kl))
        self.freelb = FreeLB(cfg.freelb_steps, cfg.freelb_lr, cfg.freelb_norm)
        self.updates = 0

    @abstractmethod
    def check_model(self, model) -> None:
        """Raises UserError for a model that this criterion cannot train."""

    @abstractmethod
    def objective_of(self, output: PonderOutput, targets: Tensor) -> Objective:
        """The objective for these outputs. Shape: targets [B]."""

    def run_model(self, model, sample: dict, **options) -> PonderOutput:
        """The model's output for a batch."""
        return model(**sample["net_input"], **options)

    def forward(self, model, sample, reduce=True):
        """Returns the loss summed over the batch, B, and the sums to log."""
        if "target" not in sample:
            raise UserError("this split has no labels: train and validate on one that has, or predict with "
                            "palbert evaluate")
        self.check_model(model)
        compute = self._adversarial_forward if self.training and self.freelb.steps else self._output_and_objective
        output, objective = compute(model, sample)
        with torch.no_grad():
            log = {
                "loss": objective.loss.detach(),
                **objective.sums,
                **self._metric_sums(output.logits, objective.answers, sample),
                "nsentences": sample["nsentences"],
                "ntokens": sample["ntokens"],
                "sample_size": sample["nsentences"],
            }
        return objective.loss, sample["nsentences"], log

    def _output_and_objective(self, model, sample: dict, **options) -> tuple[PonderOutput, Objective]:
        """The model's output for a batch, and its objective with the learned-exit head's loss."""
        output = self.run_model(model, sample, **options)
        objective = self.objective_of(output, sample["target"])
        if output.error_logits is None:
            return output, objective
        exit_loss = self._exit_loss(output, sample["target"])
        return output, replace(objective, loss=objective.loss + exit_loss,
                               sums={**objective.sums, "exit_loss": exit_loss.detach()})

    def _adversarial_forward(self, model, sample: dict) -> tuple[PonderOutput, Objective]:
        """Adversarial forward passes (FreeLB): the output of the last, and the mean of their losses."""
        results = []

        def loss_of(noise: Tensor) -> Tensor:
            results.append(self._output_and_objective(model, sample, noise=noise))
            return results[-1][1].loss

        shape = model.network.encoder.shape
        if not isinstance(shape, EncoderShape):
            raise UserError("--freelb-steps perturbs token embeddings, which a recurrent cell on vectors has not: drop "
                            "it")
        real = sample["net_input"]["src_tokens"].ne(shape.padding_id)
        losses = list(self.freelb.passes(loss_of, real, shape.embedding or shape.hidden))
        output, objective = results[-1]
        return output, replace(objective, loss=sum(losses) / len(losses))

    def layer_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats, or squared error, with distillation. Shape: [N, B, K], [B] -> [N, B]."""
        logits = logits.float()
        if self.regression:
            losses = (logits.squeeze(-1) - targets.float()) ** 2
        else:  # [N, B, K] -> [B, K, N], as cross_entropy has it
            losses = F.cross_entropy(logits.permute(1, 2, 0), targets[:, None].expand(-1, len(logits)),
                                     reduction="none").T
        return self.distillation(losses, logits) if self.distillation.weight else losses

    def _exit_loss(self, output: PonderOutput, targets: Tensor) -> Tensor:
        """The learned-exit head's loss, summed over the batch, a scalar."""
        logits = output.logits[:-1].detach()
        if self.regression:
            errors = (logits.squeeze(-1).float() - targets.float()).tanh().abs()
        else:
            errors = logits.argmax(-1).ne(targets).float()
        return ((output.error_logits.float().sigmoid() - errors) ** 2).mean(0).sum()

    def _metric_sums(self, logits: Tensor, answers: Tensor, sample: dict) -> dict[str, Tensor]:
        """Sums over the batch: correct counts, or squared errors, of each layer, and the statistics of the answers."""
        targets = sample["target"]
        if self.regression:
            sums = {"squared_error": ((logits.squeeze(-1).float() - targets.float()) ** 2).sum(1)}
        else:
            sums = {"accuracy": logits.argmax(-1).eq(targets).sum(1)}
        if "group" in sample and self.training:  # rows are shuffled: a batch has no whole groups
            return sums
        references = References(targets, sample.get("group"), sample.get("text_scores"))
        return {**sums, "statistics": self.task.metrics.statistics(answers, references, sample["id"],
                                                                   sample["examples"])}

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Logs means per sentence."""
        sentences = float(sum(log["sample_size"] for log in logging_outputs))
        for name in (name for name in cls.scalars if name in logging_outputs[0]):
            metrics.log_scalar(name, float(sum(log[name] for log in logging_outputs)) / sentences, sentences)
        for name in (name for name in cls.by_layer if name in logging_outputs[0]):
            for n, total in enumerate(sum(log[name] for log in logging_outputs).tolist(), start=1):
                metrics.log_scalar(f"{name}_{n}", total / sentences, sentences)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def _check_config(cfg: EveryLayerConfig) -> None:
    if not 0 <= cfg.distill_weight <= 1:
        raise UserError(f"--distill-weight {cfg.distill_weight}: choose a number from 0 to 1")
    if cfg.freelb_steps < 0:
        raise UserError(f"--freelb-steps {cfg.freelb_steps}: choose 0, which is off, or a number of passes")
    for name in ("distill_temperature", "freelb_lr", "freelb_norm"):
        if not 0 < getattr(cfg, name) < float("inf"):
            raise UserError(f"--{name.replace('_', '-')} {getattr(cfg, name)}: choose a number above 0")
