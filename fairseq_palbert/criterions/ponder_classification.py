"""``--criterion ponder_classification``: PonderNet's and PALBERT's objective for sentence classification and regression.

Sizes: N layers, B sentences, K outputs.
"""

from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from torch import Tensor
from torch.nn import functional as F

from ..errors import UserError
from ..modules.pondering import PonderOutput
from ..ponder.halting import cdf, exit_layer, expected_depth
from ..ponder.objective import POSTERIOR_REMAINDERS, PonderObjective
from ..ponder.prior import KL_DIRECTIONS, PRIOR_REMAINDERS, PRIORS, default_lambda

RELEASED = {"kl_direction": "prior_posterior", "posterior_remainder": "none", "halting_epsilon": 0.05}
SCALARS = ("loss", "task_loss", "kl", "posterior_depth", "q_exit_depth")
BY_LAYER = ("p", "accuracy", "squared_error")


@dataclass
class PonderClassificationConfig(FairseqDataclass):
    beta: float = field(default=0.5, metadata={"help": "weight of the KL term (PALBERT: 0.5, PonderNet: 0.01)"})
    prior: ChoiceEnum(PRIORS) = field(default="geometric", metadata={"help": "prior of the exit layer"})
    prior_lambda: Optional[float] = field(
        default=None,
        metadata={"help": "the prior's parameter; default: 1 - 0.9^(12/N), which is PALBERT's 0.1 at N = 12 layers"},
    )
    prior_remainder: ChoiceEnum(PRIOR_REMAINDERS) = field(
        default="last", metadata={"help": "the geometric prior's mass beyond layer N: to layer N, or to all in proportion"}
    )
    kl_direction: ChoiceEnum(KL_DIRECTIONS) = field(
        default="posterior_prior", metadata={"help": "KL(posterior || prior), or KL(prior || posterior)"}
    )
    posterior_remainder: ChoiceEnum(POSTERIOR_REMAINDERS) = field(
        default="last", metadata={"help": "the posterior's mass beyond layer N: to layer N, or left out (not normalised)"}
    )
    halting_epsilon: float = field(
        default=0.0,
        metadata={"help": "with --posterior-remainder none: p_n becomes epsilon / N once 1 - epsilon of the mass is spent"},
    )
    as_released: bool = field(
        default=False,
        metadata={"help": "the objective of PALBERT's published code instead of the paper's: --kl-direction prior_posterior "
                          "--posterior-remainder none --halting-epsilon 0.05"},
    )
    q_exit_threshold: float = field(
        default=0.5, metadata={"help": "threshold of the Q-exit whose metrics are logged: exit where CDF > threshold"}
    )


@register_criterion("ponder_classification", dataclass=PonderClassificationConfig)
class PonderClassification(FairseqCriterion):
    """Mean over sentences of Σ_n p_n L(ŷ_n, y) + β KL, in nats, with cross-entropy or squared error for L.

    The model gives a ``PonderOutput``; everything after it is float32. See ``ponder.objective`` for formula and source.
    """

    def __init__(self, cfg: PonderClassificationConfig, task):
        super().__init__(task)
        if not hasattr(task, "glue_task"):
            raise UserError("--criterion ponder_classification needs --task glue")
        _check_config(cfg)
        self.regression = task.glue_task.regression
        self.threshold = cfg.q_exit_threshold
        self.prior_lambda = cfg.prior_lambda
        self.options = {
            "beta": cfg.beta,
            "prior": str(cfg.prior),
            "prior_remainder": str(cfg.prior_remainder),
            "kl_direction": str(cfg.kl_direction),
            "posterior_remainder": str(cfg.posterior_remainder),
            "halting_epsilon": cfg.halting_epsilon,
            **(RELEASED if cfg.as_released else {}),
        }

    def objective(self, depth: int) -> PonderObjective:
        """The objective for a model of N = ``depth`` layers."""
        lambda_p = default_lambda(depth) if self.prior_lambda is None else self.prior_lambda
        return PonderObjective(lambda_p=lambda_p, **self.options)

    def forward(self, model, sample, reduce=True):
        """Returns the loss summed over the batch, B, and the sums to log."""
        if "target" not in sample:
            raise UserError("this split has no labels: train and validate on one that has, or predict with "
                            "python -m fairseq_palbert.evaluation")
        at_last = self.options["posterior_remainder"] == "none"
        output = model(**sample["net_input"], halt_at_last=at_last)
        objective = self.objective(len(output.logits))
        ponder = objective(output.halting_logits, self.layer_losses(output.logits, sample["target"]))
        loss = ponder.loss.sum()
        with torch.no_grad():
            log = {
                "loss": loss.detach(),
                "task_loss": ponder.task_loss.sum(),
                "kl": ponder.kl.sum(),
                "p": ponder.p.sum(1),
                "posterior_depth": expected_depth(ponder.p).sum(),
                **self._exit_sums(output, sample),
                "nsentences": sample["nsentences"],
                "ntokens": sample["ntokens"],
                "sample_size": sample["nsentences"],
            }
        return loss, sample["nsentences"], log

    def layer_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats, or squared error. Shape: [N, B, K], [B] -> [N, B]."""
        if self.regression:
            return (logits.squeeze(-1).float() - targets.float()) ** 2
        # [N, B, K] -> [B, K, N], as cross_entropy has it
        return F.cross_entropy(logits.float().permute(1, 2, 0), targets[:, None].expand(-1, len(logits)),
                               reduction="none").T

    def _exit_sums(self, output: PonderOutput, sample: dict) -> dict[str, Tensor]:
        """What each layer and Q-exit get right, summed over the batch."""
        targets = sample["target"]
        depth = len(output.logits)
        predictions = output.logits.squeeze(-1) if self.regression else output.logits.argmax(-1)  # [N, B]
        exits = exit_layer(cdf(output.halting_logits[:depth - 1].double()), self.threshold)  # as the exit rules
        at_exit = predictions.gather(0, exits[None] - 1)[0]
        if self.regression:
            by_layer = {"squared_error": ((predictions.float() - targets.float()) ** 2).sum(1)}
        else:
            by_layer = {"accuracy": predictions.eq(targets).sum(1)}
        return {
            **by_layer,
            "q_exit_depth": exits.sum(),
            "statistics": self.task.metrics.statistics(at_exit, targets, sample["id"], sample["examples"]),
        }

    @staticmethod
    def reduce_metrics(logging_outputs) -> None:
        """Logs means per sentence: losses in nats, depths in layers, and p_n and accuracy (or squared error) by layer."""
        sentences = float(sum(log["sample_size"] for log in logging_outputs))
        for name in SCALARS:
            metrics.log_scalar(name, float(sum(log[name] for log in logging_outputs)) / sentences, sentences)
        for name in (name for name in BY_LAYER if name in logging_outputs[0]):
            for n, total in enumerate(sum(log[name] for log in logging_outputs).tolist(), start=1):
                metrics.log_scalar(f"{name}_{n}", total / sentences, sentences)

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True


def _check_config(cfg: PonderClassificationConfig) -> None:
    if cfg.beta < 0:
        raise UserError(f"--beta {cfg.beta}: the weight of the KL term is not negative")
    if cfg.prior_lambda is not None and not 0 < cfg.prior_lambda < 1:
        raise UserError(f"--prior-lambda {cfg.prior_lambda}: choose a value between 0 and 1, both excluded")
    if not 0 <= cfg.q_exit_threshold <= 1:
        raise UserError(f"--q-exit-threshold {cfg.q_exit_threshold}: choose a value from 0 to 1")
    if not 0 <= cfg.halting_epsilon < 1:
        raise UserError(f"--halting-epsilon {cfg.halting_epsilon}: choose a value from 0 up to, not including, 1")
    if cfg.halting_epsilon > 0 and str(cfg.posterior_remainder) == "last" and not cfg.as_released:
        raise UserError("--halting-epsilon acts only with --posterior-remainder none (or --as-released)")
