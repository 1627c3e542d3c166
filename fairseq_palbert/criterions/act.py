"""``--criterion act``: Adaptive Computation Time.

Sizes: N steps, B examples.
"""

from dataclasses import dataclass, field

import torch
from fairseq.criterions import register_criterion
from torch import Tensor

from ..errors import UserError
from ..modules.pondering import PonderOutput
from ..ponder.act import halting, mean_field
from .every_layer import EveryLayerConfig, EveryLayerCriterion, Objective


@dataclass
class ActConfig(EveryLayerConfig):
    ponder_cost: float = field(
        default=1e-3, metadata={"help": "time penalty tau, the weight of the steps N(t) + R(t) in the loss (ACT on "
                                        "parity: 0.0001 to 0.1)"}
    )
    act_epsilon: float = field(
        default=0.01, metadata={"help": "epsilon: an example halts at the first step at which the sum of its halting "
                                        "units reaches 1 - epsilon (ACT: 0.01)"}
    )


@register_criterion("act", dataclass=ActConfig)
class Act(EveryLayerCriterion):
    """Mean over examples of L(Σ_n p_n ŷ_n, y) + τ (N(t) + R(t)), with cross-entropy in nats or squared error for L.

    τ is ``--ponder-cost``. See ``ponder.act`` for p, N(t), R(t) and the source. The task's metrics are those of the
    mean-field answer Σ_n p_n ŷ_n; ``steps`` is N(t), ``p_n`` the weight of step n.
    """

    name = "act"
    scalars = (*EveryLayerCriterion.scalars, "task_loss", "ponder_cost", "steps", "remainder")
    by_layer = ("p", *EveryLayerCriterion.by_layer)

    def __init__(self, cfg: ActConfig, task):
        super().__init__(cfg, task)
        _check_config(cfg)
        self.tau = cfg.ponder_cost
        self.epsilon = cfg.act_epsilon

    def check_model(self, model) -> None:
        if not model.network.heads_shape.halts:
            raise UserError(f"--criterion {self.name} trains halting units, and --lambda-module none has none: choose "
                            "--arch act_rnn")

    def objective_of(self, output: PonderOutput, targets: Tensor) -> Objective:
        halted = halting(output.halting_logits, self.epsilon)
        answers = mean_field(halted.p, output.logits.float())
        task_loss = self.layer_losses(answers[None], targets)[0]
        loss = task_loss + self.tau * halted.ponder_cost
        with torch.no_grad():
            sums = {
                "task_loss": task_loss.sum(),
                "ponder_cost": halted.ponder_cost.sum(),
                "steps": halted.steps.sum(),
                "remainder": halted.remainder.sum(),
                "p": halted.p.sum(1),
            }
        return Objective(loss.sum(), answers, sums)


def _check_config(cfg: ActConfig) -> None:
    if not 0 <= cfg.ponder_cost < float("inf"):
        raise UserError(f"--ponder-cost {cfg.ponder_cost}: the cost of a step is not negative")
    if not 0 < cfg.act_epsilon < 1:
        raise UserError(f"--act-epsilon {cfg.act_epsilon}: choose a value between 0 and 1, both excluded")
    if cfg.distill_weight:
        raise UserError("--distill-weight teaches each layer's own answer, and --criterion act trains their mean: drop "
                        "one of the two")
