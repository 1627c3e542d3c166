"""``--arch ponder_rnn``: a recurrent cell that ponders over one input vector."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum
from fairseq.models import BaseFairseqModel, register_model
from omegaconf import II
from torch import Tensor

from ..errors import UserError
from ..modules.lambda_module import LAMBDA_MODULES, NO_LAMBDA
from ..modules.pondering import NO_POOLER, HeadsShape, PonderingClassifier, PonderOutput
from ..modules.recurrent import CELLS, RecurrentEncoder, RecurrentShape
from ..optim.parts import tag_parameters
from ..ponder.prior import depth_for_tail
from .training_start import StartConfig, check_device


@dataclass
class RecurrentConfig(StartConfig):
    rnn_cell: ChoiceEnum(tuple(CELLS)) = field(default="gru", metadata={"help": "recurrent cell"})
    rnn_width: int = field(default=128, metadata={"help": "hidden units C of the cell (ACT and PonderNet: 128)"})
    max_steps: int = field(default=20, metadata={"help": "largest number of steps N, at least 2 (PonderNet: 20)"})


@dataclass
class PonderRnnConfig(RecurrentConfig):
    lambda_module: str = field(
        default="linear", metadata={"help": f"what reads the state and halts; {NO_LAMBDA}: all N steps are taken: "
                                            f"{', '.join(LAMBDA_MODULES)}"}
    )
    max_steps_tail: Optional[float] = field(
        default=None, metadata={"help": "in place of --max-steps, the smallest N beyond which the geometric prior of "
                                        "--prior-lambda has at most this mass (0.05 at --prior-lambda 0.1: N = 29)"}
    )
    prior_lambda: Optional[float] = II("oc.select:criterion.prior_lambda,null")  # other criterions have none


class RecurrentModel(BaseFairseqModel):
    """The fairseq model around a ``PonderingClassifier`` of a recurrent cell, ``network``."""

    def __init__(self, cfg: RecurrentConfig, network: PonderingClassifier):
        super().__init__()
        self.cfg = cfg
        self.network = network

    @classmethod
    def build_model(cls, cfg: RecurrentConfig, task) -> "RecurrentModel":
        """The model for the task's vectors (``vector_size``) and outputs (``definition.outputs``).

        Raises UserError for a task without vectors and for a setting out of range.
        """
        if not hasattr(task, "vector_size"):
            raise UserError(f"--arch {cfg._name} reads vectors, which --task parity makes: choose that task, or a "
                            "palbert_FAMILY")
        network = PonderingClassifier(RecurrentEncoder(recurrent_shape(cfg, task.vector_size)),
                                      recurrent_heads(cfg, task.definition.outputs))
        tag_parameters(network)
        return cls(cfg, network)

    @staticmethod
    def complete_settings(cfg: RecurrentConfig) -> None:
        """Called before training builds the model: sets, in place, what other flags decide. Checkpoints keep it."""

    def forward(self, src_tokens: Tensor, src_lengths: Tensor | None = None, halt_at_last: bool = False,
                noise: None = None) -> PonderOutput:
        """The outputs of all steps; ``src_lengths`` are all 1. Shape: [B, P] -> see ``PonderingClassifier.forward``."""
        return self.network(src_tokens, halt_at_last)

    def start_training(self, task) -> None:
        """Called where the model is built for training, not for loading a checkpoint.

        Raises UserError for a precision that the device does not support.
        """
        check_device(self.cfg)

    def max_positions(self) -> int:
        return self.network.encoder.shape.max_positions


@register_model("ponder_rnn", dataclass=PonderRnnConfig)
class PonderRnnModel(RecurrentModel):
    """A cell with a classifier and a lambda module, all three the same at every step (PonderNet, arXiv 2107.05407)."""

    @staticmethod
    def complete_settings(cfg: PonderRnnConfig) -> None:
        """Sets ``max_steps`` from ``--max-steps-tail``; raises UserError where that is out of range."""
        if cfg.max_steps_tail is not None:
            cfg.max_steps = _steps_of_tail(cfg)


def recurrent_shape(cfg: RecurrentConfig, vector_size: int) -> RecurrentShape:
    """The cell's shape. Raises UserError for a setting out of range."""
    return RecurrentShape(vector_size, cfg.max_steps, cfg.rnn_width, str(cfg.rnn_cell))


def recurrent_heads(cfg: RecurrentConfig, outputs: int) -> HeadsShape:
    """The heads, which read the state itself and have no dropout. Raises UserError for an unknown lambda module."""
    return HeadsShape(outputs, pooling=NO_POOLER, classifier_dropout=0.0,
                      lambda_module=getattr(cfg, "lambda_module", "linear"))


def _steps_of_tail(cfg: PonderRnnConfig) -> int:
    """N for ``--max-steps-tail``. Raises UserError without ``--prior-lambda``, and where either is out of range."""
    if cfg.prior_lambda is None:
        raise UserError(f"--max-steps-tail {cfg.max_steps_tail} bounds the prior's mass beyond step N: add "
                        "--prior-lambda")
    try:
        return depth_for_tail(cfg.prior_lambda, cfg.max_steps_tail)
    except ValueError as error:
        raise UserError(f"--max-steps-tail {cfg.max_steps_tail}, --prior-lambda {cfg.prior_lambda}: {error}") from error
