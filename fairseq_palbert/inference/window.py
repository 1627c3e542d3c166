"""How much the engine computes at once, and who is next."""

import os
from collections import deque
from dataclasses import dataclass
from typing import Self

import torch

CPU_TOKENS, CPU_STEP_TOKENS = 16384, 1024  # more in flight are no faster; what a step works on stays near
GPU_TOKENS, GPU_STEP_TOKENS = 131072, 16384
PART_OF_MEMORY = 8  # of what is free, the engine takes one


@dataclass(frozen=True)
class Window:
    """At most ``tokens`` tokens of at most ``sentences`` sentences (None: any number) are in flight, one sentence at
    least; about ``step_tokens`` of them go through a layer at once."""

    tokens: int = CPU_TOKENS
    sentences: int | None = None
    step_tokens: int = CPU_STEP_TOKENS

    @classmethod
    def fitting(cls, hidden: int, ffn_hidden: int, dtype: torch.dtype, device: torch.device) -> Self:
        """What keeps the device busy; both sizes less by one factor where an eighth of its free memory does not hold
        them.

        With C hidden units and F inside the feed-forward part, sentences in flight hold C values a token twice over,
        and those that go through a layer 4C + 2F more: on a CPU a base model takes 140 MB in float32.
        """
        tokens, step_tokens = (CPU_TOKENS, CPU_STEP_TOKENS) if device.type == "cpu" else (GPU_TOKENS, GPU_STEP_TOKENS)
        values = tokens * 2 * hidden + step_tokens * (4 * hidden + 2 * ffn_hidden)
        share = min(1, free_memory(device) / PART_OF_MEMORY / (values * dtype.itemsize))
        return cls(max(1, int(tokens * share)), None, max(1, int(step_tokens * share)))


def free_memory(device: torch.device) -> int:
    """In bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Waiting:
    """Sentences that wait to be computed, longest first, so that neighbours are of equal length where lengths
    repeat."""

    def __init__(self, lengths: list[int]):
        self.lengths = lengths
        self.places = deque(sorted(range(len(lengths)), key=lambda place: -lengths[place]))

    def __bool__(self) -> bool:
        return bool(self.places)

    def take(self, window: Window, in_flight: list[int]) -> list[int]:
        """The places of those that fit into the window beside sentences of these lengths."""
        taken, tokens, sentences = [], sum(in_flight), len(in_flight)
        while self.places:
            tokens, sentences = tokens + self.lengths[self.places[0]], sentences + 1
            full = tokens > window.tokens or (window.sentences is not None and sentences > window.sentences)
            if full and sentences > 1:
                break
            taken.append(self.places.popleft())
        return taken
