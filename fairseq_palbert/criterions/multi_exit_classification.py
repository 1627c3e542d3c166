"""``--criterion multi_exit_classification``: a weighted sum of all layers' losses.

Sizes: N layers, B sentences.
"""

from dataclasses import dataclass, field

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ..errors import UserError
from ..modules.pondering import PonderOutput
from .every_layer import EveryLayerConfig, EveryLayerCriterion, Objective

LAYER_WEIGHTS = ("linear", "uniform", "last")


def layer_weights(scheme: str, depth: int) -> Tensor:
    """w_n, with Σ_n w_n = 1.

    ``linear``: 2n / (N (N + 1)), as in PABEE (arXiv 2006.04152). ``uniform``: 1 / N. ``last``: 1 at layer N alone, the
    ordinary fine-tuned encoder. Shape: [N].
    """
    layers = torch.arange(1, depth + 1, dtype=torch.float32)
    return {"linear": layers / layers.sum(), "uniform": torch.full_like(layers, 1 / depth),
            "last": layers.eq(depth).float()}[scheme]


@dataclass
class MultiExitClassificationConfig(EveryLayerConfig):
    layer_weights: ChoiceEnum(LAYER_WEIGHTS) = field(
        default="linear",
        metadata={"help": "weight of layer n of N in the loss: 2n / (N (N + 1)) (PABEE), 1 / N, or layer N alone"},
    )
    alternate_last: bool = field(
        default=False, metadata={"help": "train layer N alone in updates 1, 3, 5, ... (BERxiT)"}
    )


@register_criterion("multi_exit_classification", dataclass=MultiExitClassificationConfig)
class MultiExitClassification(EveryLayerCriterion):
    """Mean over sentences of Σ_n w_n L(ŷ_n, y), in nats, with Σ_n w_n = 1 (see ``layer_weights``).

    With ``--alternate-last``, training's updates 1, 3, 5, ... use L(ŷ_N, y) instead (BERxiT, EACL 2021, section 3.2).
    The task's metrics are those of layer N.
    """

    name = "multi_exit_classification"

    def __init__(self, cfg: MultiExitClassificationConfig, task):
        super().__init__(cfg, task)
        self.layer_weights = str(cfg.layer_weights)
        self.alternate_last = cfg.alternate_last

    def check_model(self, model) -> None:
        heads = model.network.heads_shape
        if heads.halts:
            raise UserError(f"--criterion {self.name} does not train a lambda module: add --lambda-module none")
        for field_name in ("per_layer_pooler", "per_layer_classifier"):
            if self.layer_weights == "last" and getattr(heads, field_name):
                raise UserError(f"--layer-weights last trains the last layer's heads alone: drop "
                                f"--{field_name.replace('_', '-')}, or choose other weights")

    def objective_of(self, output: PonderOutput, targets: Tensor) -> Objective:
        losses = self.layer_losses(output.logits, targets)
        depth = len(losses)
        last_only = self.alternate_last and self.training and self.updates % 2 == 0
        weights = layer_weights("last" if last_only else self.layer_weights, depth).to(losses.device)
        return Objective((weights[:, None] * losses).sum(), output.logits[-1], {})
