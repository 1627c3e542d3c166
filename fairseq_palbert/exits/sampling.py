"""Sampling: leave layer n with probability λ_n, by one random number per sentence."""

from dataclasses import dataclass
from typing import ClassVar, Self

from torch import Tensor

from .cdf import CdfRule

# SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014), as signed numbers.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


@dataclass(frozen=True)
class Sampling(CdfRule):
    """Exit at the first n with CDF_n > u, with u uniform in [0, 1): exactly Bernoulli(λ_n) layer by layer.

    u is a pure function of (seed, example id): the top 53 bits of the SplitMix64 stream's output number id, counted
    from 0, from the state ``seed``. So it depends neither on the batching nor on the order.
    Source: PonderNet (arXiv 2107.05407).
    """

    parameter: int
    name: ClassVar[str] = "sampling"
    form: ClassVar[str] = "sampling:SEED with an integer 0 <= SEED < 2^63"

    @classmethod
    def parse(cls, parameter: str | None) -> Self:
        seed = int(parameter or "")
        if not 0 <= seed < 2**63:
            raise ValueError("SEED does not fit")
        return cls(seed)

    def thresholds(self, example_ids: Tensor) -> Tensor:
        return _shift_right(splitmix64(self.parameter, example_ids), 11).double() * 2.0**-53


def splitmix64(seed: int, index: Tensor) -> Tensor:
    """Output number ``index`` (from 0) of SplitMix64 started at ``seed``, its bits read as int64. Shape is kept."""
    z = (index + 1) * _GAMMA + seed  # integer tensors wrap around modulo 2^64
    z = (z ^ _shift_right(z, 30)) * _MIX_1
    z = (z ^ _shift_right(z, 27)) * _MIX_2
    return z ^ _shift_right(z, 31)


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """The logical shift of 64-bit words; ``>>`` on signed numbers drags the sign along."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
