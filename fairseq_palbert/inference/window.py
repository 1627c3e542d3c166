"""How much the engine computes at once, and which sentences are next."""

import os
from collections import deque
from dataclasses import dataclass
from typing import Self

import torch

CPU_TOKENS, CPU_STEP_TOKENS = 16384, 1024  # more are no faster; a step's data stays in the cache
GPU_TOKENS, GPU_STEP_TOKENS = 131072, 16384
MEMORY_DIVISOR = 8  # the engine uses 1/8 of the free memory


@dataclass(frozen=True)
class Window:
    """The limits of what the engine computes at once.

    At most ``tokens`` tokens of at most ``sentences`` sentences (None: no limit) are active, but at least one sentence.
    About ``step_tokens`` tokens go through a layer at once.
    """

    tokens: int = CPU_TOKENS
    sentences: int | None = None
    step_tokens: int = CPU_STEP_TOKENS

    @classmethod
    def fitting(cls, hidden: int, ffn_hidden: int, dtype: torch.dtype, device: torch.device) -> Self:
        """The window that keeps the device busy.

        Both sizes shrink by one factor where an eighth of the free memory does not hold them. With C hidden units and F
        feed-forward units, active sentences hold 2C values per token, and those that go through a layer 4C + 2F more.
        On a CPU a base model takes 140 MB in float32.
        """
        tokens, step_tokens = (CPU_TOKENS, CPU_STEP_TOKENS) if device.type == "cpu" else (GPU_TOKENS, GPU_STEP_TOKENS)
        values = tokens * 2 * hidden + step_tokens * (4 * hidden + 2 * ffn_hidden)
        share = min(1, free_memory(device) / MEMORY_DIVISOR / (values * dtype.itemsize))
        return cls(max(1, int(tokens * share)), None, max(1, int(step_tokens * share)))


def free_memory(device: torch.device) -> int:
    """The free memory of the device, in bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Waiting:
    """Sentences that wait to be computed, longest first, so that equal lengths are neighbours."""

    def __init__(self, lengths: list[int]):
        self.lengths = lengths
        self.places = deque(sorted(range(len(lengths)), key=lambda place: -lengths[place]))

    def __bool__(self) -> bool:
        return bool(self.places)

    def take(self, window: Window, active_lengths: list[int]) -> list[int]:
        """Removes the sentences that fit into the window beside active ones of these lengths; returns their places."""
        taken, tokens, sentences = [], sum(active_lengths), len(active_lengths)
        while self.places:
            tokens, sentences = tokens + self.lengths[self.places[0]], sentences + 1
            full = tokens > window.tokens or (window.sentences is not None and sentences > window.sentences)
            if full and sentences > 1:
                break
            taken.append(self.places.popleft())
        return taken
