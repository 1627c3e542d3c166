"""``--arch act_rnn``: a recurrent cell with Adaptive Computation Time, for ``--criterion act``."""

from fairseq.models import register_model
from torch import nn

from ..modules.pondering import PonderingClassifier
from .ponder_rnn import RecurrentConfig, RecurrentModel

HALTING_BIAS = 1.0  # h_1 = 0.73: halts after two steps before training (arXiv 1603.08983, section 3)


@register_model("act_rnn", dataclass=RecurrentConfig)
class ActRnnModel(RecurrentModel):
    """A cell with a classifier and a halting unit h_n = σ(w · s_n + b), b = 1 at first (ACT, arXiv 1603.08983)."""

    def __init__(self, cfg: RecurrentConfig, network: PonderingClassifier):
        super().__init__(cfg, network)
        nn.init.constant_(network.lambda_module.readout.copies[0][-1].bias, HALTING_BIAS)
