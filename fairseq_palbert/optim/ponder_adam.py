"""Adam with a learning rate for each part of a pondering classifier."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.logging import metrics
from fairseq.optim import register_optimizer
from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
from omegaconf import II
from torch import nn

from ..errors import UserError
from ..numbers_from_text import fractions
from .parts import PARTS

# A group without parameters, at the scheduled rate itself, where schedulers read it back. It is the last group, because
# apex's fused Adam accepts an empty group only after one with parameters.
_BASE = "base"
_UNTAGGED = "untagged"


@dataclass
class PonderAdamConfig(FairseqAdamConfig):
    encoder_lr: Optional[float] = field(
        default=None, metadata={"help": "learning rate of the encoder's last layer (default: --lr)"}
    )
    classifier_lr: Optional[float] = field(
        default=None, metadata={"help": "learning rate of the pooler and the classifier (default: --lr)"}
    )
    lambda_lr: Optional[float] = field(
        default=None, metadata={"help": "learning rate of the lambda module (default: --lr)"}
    )
    layer_lr_decay: float = field(
        default=1.0,
        metadata={"help": "factor d of layer-wise decay: the learning rate of encoder layer n of N is multiplied by "
                          "d^(N - n), that of the embeddings by d^N; 1 is off"},
    )
    fp16: bool = II("common.fp16")
    bf16: bool = II("common.bf16")


@register_optimizer("ponder_adam", dataclass=PonderAdamConfig)
class PonderAdam(FairseqAdam):
    """fairseq's Adam with a parameter group for each encoder layer, the classifier and the lambda module.

    A group's learning rate is the scheduled rate times the group's ``lr_scale``. At the scheduler's peak, which is
    ``--lr``, each part has its own rate. The groups are the same for all flags, so that training can resume with other
    flags. With equal rates, training is bit-identical to ``--optimizer adam``. Parameters without a part
    (``optim.parts``), such as a criterion's own, train at ``--lr``.

    Raises UserError for rates and decays out of range, and for rates by part where no parameter has a part.
    """

    def __init__(self, cfg: PonderAdamConfig, params: Iterable[nn.Parameter]):
        _check(cfg)
        super().__init__(cfg, _groups(cfg, list(params)))

    def get_lr(self) -> float:
        """The scheduled learning rate, that of a group with scale 1."""
        return self.param_groups[-1]["lr"]

    def set_lr(self, lr: float) -> None:
        """Sets every group's learning rate to ``lr`` times its scale, and logs each as ``lr_<group>``."""
        by_layer = self.cfg.layer_lr_decay != 1
        for group in self.param_groups:
            group["lr"] = lr * group["lr_scale"]
            if group["part"] in PARTS:
                label = group["name"] if by_layer else group["part"]
                metrics.log_scalar(f"lr_{label}", group["lr"], weight=0, priority=301)

    def state_dict(self) -> dict[str, Any]:
        """As in fairseq, with the float32 weights as ``master_weights`` under ``--fp16`` and ``--bf16``.

        The model in fairseq's checkpoints is in half precision, from which training would not resume exactly.
        """
        state = super().state_dict()
        if self.cfg.fp16 or self.cfg.bf16:
            state["master_weights"] = [param.detach() for param in self.params]
        return state

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """As in fairseq; the scales are those of the current flags, as ``--lr`` is.

        Raises UserError for the state of another optimizer or model.
        """
        scales = [group["lr_scale"] for group in self.param_groups]
        try:
            super().load_state_dict(state_dict, optimizer_overrides)
            for group, scale in zip(self.param_groups, scales, strict=True):
                group["lr_scale"] = scale
            if "master_weights" in state_dict:
                for param, weight in zip(self.params, state_dict["master_weights"], strict=True):
                    param.data.copy_(weight)
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UserError("the optimizer's state in the checkpoint does not fit this model and --optimizer "
                            f"({error}): add --reset-optimizer") from error


def _rates(cfg: PonderAdamConfig) -> dict[str, float | None]:
    return {part: getattr(cfg, f"{part}_lr") for part in PARTS}


def _check(cfg: PonderAdamConfig) -> None:
    try:
        fractions(str(cfg.adam_betas), 2)  # a text, since fairseq evaluates one as Python
    except ValueError as error:
        raise UserError(f"--adam-betas: {error}: give two, as in '(0.9, 0.999)'") from error
    for part, rate in _rates(cfg).items():
        if rate is not None and not (0 <= rate < math.inf):
            raise UserError(f"--{part}-lr {rate}: a learning rate is a number, 0 or more")
        if rate is not None and cfg.lr[0] <= 0:
            raise UserError(f"--{part}-lr {rate} follows the schedule of --lr {cfg.lr[0]}: give a positive --lr")
    if not 0 < cfg.layer_lr_decay <= 1:
        raise UserError(f"--layer-lr-decay {cfg.layer_lr_decay}: give a number above 0 and at most 1, which is off")


def _groups(cfg: PonderAdamConfig, params: list[nn.Parameter]) -> list[dict[str, Any]]:
    """Groups in their order in ``params``, so that norms over all parameters are summed in Adam's order."""
    rates = _rates(cfg)
    groups = {}
    for param in params:
        tags = getattr(param, "optim_overrides", None) or {}
        part = tags.get("part", _UNTAGGED)
        name = param.param_group if part in PARTS else _UNTAGGED
        if name not in groups:
            rate = rates.get(part)
            scale = 1.0 if rate is None else rate / cfg.lr[0]
            scale *= cfg.layer_lr_decay ** tags.get("layers_above", 0)
            groups[name] = {"params": [], "name": name, "part": part, "lr_scale": scale}
        groups[name]["params"].append(param)
    differs_by_part = any(rate is not None for rate in rates.values()) or cfg.layer_lr_decay != 1
    if differs_by_part and not any(group["part"] in PARTS for group in groups.values()):
        raise UserError("--encoder-lr, --classifier-lr, --lambda-lr and --layer-lr-decay need parameters that name "
                        "their part: with --fp16 add --fp16-no-flatten-grads, and use an --arch of this plugin")
    return [*groups.values(), {"params": [], "name": _BASE, "part": _BASE, "lr_scale": 1.0}]
