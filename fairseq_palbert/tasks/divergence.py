"""The error lines of a training that diverges."""

import math

from torch import Tensor

from ..errors import UserError

REMEDY = "lower the learning rates, lengthen the warm-up, or clip the gradient (--clip-norm)"


class LatestUpdate:
    """The number of the update under way, counted from 1, and its loss per sentence."""

    def __init__(self):
        self.number, self.loss, self.sentences = 0, 0.0, 0

    def add(self, number: int, loss: Tensor, sentences: int) -> None:
        """Adds a batch of the update; ``loss`` is summed over its sentences."""
        if self.number != number:
            self.number, self.loss, self.sentences = number, 0.0, 0
        self.loss, self.sentences = self.loss + loss.detach(), self.sentences + sentences

    def diverged(self) -> UserError:
        """The error for a gradient that is not finite."""
        loss = float(self.loss) / max(self.sentences, 1)
        return UserError(f"training diverged: at update {self.number} the loss is {loss:g} and the gradient is not "
                         f"finite: {REMEDY}")

    def check_logged(self, loss: float) -> None:
        """Raises UserError where a summed loss that is to be logged is not finite.

        It is one of a validation, after this update: fairseq makes no update with a gradient that is not finite.
        """
        if not math.isfinite(loss):
            raise UserError(f"training diverged: the loss of validation after update {self.number} is {loss:g}: "
                            f"{REMEDY}")
