"""Distillation of the last layer's answers into the earlier layers.

Sizes: N layers, B sentences, K outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

DISTILL_KLS = ("teacher_student", "student_teacher")


@dataclass(frozen=True)
class Distillation:
    """Replaces L_n by (1 − α) L_n + α D_n for n < N; ŷ_N gets no gradient from D_n.

    For classes, D_n = T² KL(q_N ‖ q_n) in nats with q_n = softmax(ŷ_n / T) (Hinton, arXiv 1503.02531). With ``kl``
    "student_teacher" it is T² KL(q_n ‖ q_N), as in FastBERT (arXiv 2004.02178) at T = 1. For regression it is
    (ŷ_n − ŷ_N)².
    """

    weight: float
    temperature: float
    kl: str

    def __call__(self, losses: Tensor, logits: Tensor) -> Tensor:
        """The losses with distillation. Shape: [N, B], float32 [N, B, K] -> [N, B]."""
        students, teacher = logits[:-1], logits[-1:].detach()
        taught = (1 - self.weight) * losses[:-1] + self.weight * self._distance(students, teacher)
        return torch.cat([taught, losses[-1:]])

    def _distance(self, students: Tensor, teacher: Tensor) -> Tensor:
        """D_n. Shape: [N − 1, B, K], [1, B, K] -> [N − 1, B]."""
        if students.shape[-1] == 1:
            return (students - teacher).squeeze(-1) ** 2
        target, other = ((logits / self.temperature).log_softmax(-1).expand_as(students)
                         for logits in (teacher, students))
        if self.kl == "student_teacher":
            target, other = other, target
        return self.temperature**2 * F.kl_div(other, target, reduction="none", log_target=True).sum(-1)
