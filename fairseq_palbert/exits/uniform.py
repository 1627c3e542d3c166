"""One random number per example, determined by seed and example id."""

from torch import Tensor

# SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014), as signed numbers.
_GAMMA = 0x9E3779B97F4A7C15 - 2**64
_MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX_2 = 0x94D049BB133111EB - 2**64


def uniform(seed: int, example_ids: Tensor) -> Tensor:
    """Uniform in [0, 1): the top 53 bits of output number id, counted from 0, of SplitMix64 started at ``seed``.

    It depends on neither batching nor order. Shape is kept; float64.
    """
    return _shift_right(splitmix64(seed, example_ids), 11).double() * 2.0**-53


def splitmix64(seed: int, index: Tensor) -> Tensor:
    """Output number ``index`` (from 0) of SplitMix64 started at ``seed``, its bits read as int64. Shape is kept."""
    z = (index + 1) * _GAMMA + seed  # integer tensors wrap around modulo 2^64
    z = (z ^ _shift_right(z, 30)) * _MIX_1
    z = (z ^ _shift_right(z, 27)) * _MIX_2
    return z ^ _shift_right(z, 31)


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """The logical shift of 64-bit words; ``>>`` on signed numbers extends the sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)
