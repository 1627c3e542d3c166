"""How much the engine computes at once, and who is next."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """At most ``tokens`` tokens of at most ``sentences`` sentences (None: any number) are in flight, one sentence at least;
    about ``step_tokens`` of them go through a layer at once.

    Sentences in flight hold C values a token twice over, and those that go through a layer 4C + 2F more, C and F being its
    hidden units and those inside its feed-forward part: 16384 and 1024 tokens of a base model take 130 MB in float32.
    """

    tokens: int = 16384
    sentences: int | None = None
    step_tokens: int = 1024


class Waiting:
    """Sentences that wait to be computed, longest first, so that neighbours are of equal length where lengths repeat."""

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
