"""``--criterion ponder_classification``: the objective of PonderNet and PALBERT.

Sizes: N layers, B sentences.
"""

from dataclasses import dataclass, field
from typing import Optional

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ..errors import UserError
from ..modules.pondering import PonderOutput
from ..ponder.halting import cdf, exit_layer, expected_depth
from ..ponder.objective import POSTERIOR_REMAINDERS, PonderObjective
from ..ponder.prior import KL_DIRECTIONS, PRIOR_REMAINDERS, PRIORS, default_lambda
from .every_layer import EveryLayerConfig, EveryLayerCriterion, Objective, answers_at

HALTING_TARGETS = ("loss", "error")
RELEASED = {"kl_direction": "prior_posterior", "posterior_remainder": "none", "halting_epsilon": 0.05}


@dataclass
class PonderClassificationConfig(EveryLayerConfig):
    beta: float = field(default=0.5, metadata={"help": "weight of the KL term (PALBERT: 0.5, PonderNet: 0.01)"})
    prior: ChoiceEnum(PRIORS) = field(default="geometric", metadata={"help": "prior of the exit layer"})
    prior_lambda: Optional[float] = field(
        default=None,
        metadata={"help": "the prior's parameter; default: 1 - 0.9^(12/N), which is PALBERT's 0.1 at N = 12 layers"},
    )
    prior_remainder: ChoiceEnum(PRIOR_REMAINDERS) = field(
        default="last", metadata={"help": "where the geometric prior's mass beyond layer N goes: to layer N, or to all "
                                          "in proportion"}
    )
    kl_direction: ChoiceEnum(KL_DIRECTIONS) = field(
        default="posterior_prior", metadata={"help": "KL(posterior || prior), or KL(prior || posterior)"}
    )
    posterior_remainder: ChoiceEnum(POSTERIOR_REMAINDERS) = field(
        default="last", metadata={"help": "where the posterior's mass beyond layer N goes: to layer N, to all in "
                                          "proportion, or nowhere (not normalised); exit rules know no layer to come, "
                                          "and give it to layer N"}
    )
    halting_epsilon: float = field(
        default=0.0,
        metadata={"help": "with --posterior-remainder none: p_n becomes epsilon / N once 1 - epsilon of the mass is "
                          "spent"},
    )
    as_released: bool = field(
        default=False,
        metadata={"help": "the objective of PALBERT's published code instead of the paper's: --kl-direction "
                          "prior_posterior --posterior-remainder none --halting-epsilon 0.05"},
    )
    halting_target: ChoiceEnum(HALTING_TARGETS) = field(
        default="loss",
        metadata={"help": "what the halting distribution weights: the layers' losses, or with --train-only lambda "
                          "their errors, 0 or 1 (regression: squared error / variance of the targets)"},
    )
    layer_cost: float = field(
        default=0.0, metadata={"help": "cost per layer, in units of --halting-target; the loss adds cost * expected "
                                       "depth"}
    )
    q_exit_threshold: float = field(
        default=0.5, metadata={"help": "threshold of the Q-exit whose metrics are logged: exit where CDF > threshold"}
    )


@register_criterion("ponder_classification", dataclass=PonderClassificationConfig)
class PonderClassification(EveryLayerCriterion):
    """Mean over sentences of Σ_n p_n (L_n + c n) + β KL, in nats, with cross-entropy or squared error for L_n.

    c is ``--layer-cost``. With ``--halting-target error`` L_n is the error of layer n, 0 or 1, for regression
    (ŷ_n − y)² / Var(y). No gradient then reaches the layers, so that it needs ``--train-only lambda``.

    Everything after the model's ``PonderOutput`` is float32. See ``ponder.objective`` for formula and source.
    The task's metrics are those of Q-exit at ``--q-exit-threshold``; depths are in layers.
    """

    name = "ponder_classification"
    scalars = (*EveryLayerCriterion.scalars, "task_loss", "kl", "posterior_depth", "q_exit_depth")
    by_layer = ("p", *EveryLayerCriterion.by_layer)

    def __init__(self, cfg: PonderClassificationConfig, task):
        super().__init__(cfg, task)
        _check_config(cfg)
        self.threshold = cfg.q_exit_threshold
        self.prior_lambda = cfg.prior_lambda
        self.by_errors = str(cfg.halting_target) == "error"
        self.options = {
            "beta": cfg.beta,
            "prior": str(cfg.prior),
            "prior_remainder": str(cfg.prior_remainder),
            "kl_direction": str(cfg.kl_direction),
            "posterior_remainder": str(cfg.posterior_remainder),
            "halting_epsilon": cfg.halting_epsilon,
            "layer_cost": cfg.layer_cost,
            **(RELEASED if cfg.as_released else {}),
        }

    def objective(self, depth: int) -> PonderObjective:
        """The objective for a model of N = ``depth`` layers."""
        lambda_p = default_lambda(depth) if self.prior_lambda is None else self.prior_lambda
        return PonderObjective(lambda_p=lambda_p, **self.options)

    def check_model(self, model) -> None:
        if not model.network.heads_shape.halts:
            raise UserError(f"--criterion {self.name} trains a lambda module, and --lambda-module none has none: "
                            "choose another, or --criterion multi_exit_classification")
        if self.by_errors and self.training and getattr(model.cfg, "train_only", None) != "lambda":
            raise UserError("--halting-target error gives the layers no gradient: add --train-only lambda, or choose "
                            "loss")

    def layer_losses(self, logits: Tensor, targets: Tensor) -> Tensor:
        if not self.by_errors:
            return super().layer_losses(logits, targets)
        if self.regression:
            return (logits.float().squeeze(-1) - targets.float()) ** 2 / self.task.target_variance
        return logits.argmax(-1).ne(targets).float()

    def run_model(self, model, sample: dict, **options) -> PonderOutput:
        return super().run_model(model, sample, halt_at_last=self.options["posterior_remainder"] != "last", **options)

    def objective_of(self, output: PonderOutput, targets: Tensor) -> Objective:
        losses = self.layer_losses(output.logits, targets)
        depth = len(losses)
        ponder = self.objective(depth)(output.halting_logits, losses)
        with torch.no_grad():
            exits = exit_layer(cdf(output.halting_logits[:depth - 1].double()), self.threshold)  # as in the exit rules
            sums = {
                "task_loss": ponder.task_loss.sum(),
                "kl": ponder.kl.sum(),
                "p": ponder.p.sum(1),
                "posterior_depth": expected_depth(ponder.p).sum(),
                "q_exit_depth": exits.sum(),
            }
        return Objective(ponder.loss.sum(), answers_at(output.logits, exits), sums)


def _check_config(cfg: PonderClassificationConfig) -> None:
    if not 0 <= cfg.beta < float("inf"):
        raise UserError(f"--beta {cfg.beta}: choose a number from 0 on")
    if cfg.prior_lambda is not None and not 0 < cfg.prior_lambda < 1:
        raise UserError(f"--prior-lambda {cfg.prior_lambda}: choose a value between 0 and 1, both excluded")
    if not 0 <= cfg.layer_cost < float("inf"):
        raise UserError(f"--layer-cost {cfg.layer_cost}: choose a number from 0 on")
    if not 0 <= cfg.q_exit_threshold <= 1:
        raise UserError(f"--q-exit-threshold {cfg.q_exit_threshold}: choose a value from 0 to 1")
    if not 0 <= cfg.halting_epsilon < 1:
        raise UserError(f"--halting-epsilon {cfg.halting_epsilon}: choose a value from 0 up to, not including, 1")
    if cfg.halting_epsilon > 0 and str(cfg.posterior_remainder) != "none" and not cfg.as_released:
        raise UserError("--halting-epsilon acts only with --posterior-remainder none: add it, or drop "
                        "--halting-epsilon")
    if cfg.distill_weight and str(cfg.halting_target) == "error":
        raise UserError("--distill-weight teaches by the layers' losses, which --halting-target error does not read: "
                        "drop one of the two")
