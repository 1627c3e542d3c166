"""The pooled vectors of sentences that pass a frozen network in every epoch, computed once.

Sizes: N layers, B sentences, T tokens of the longest, C hidden units.
"""

import logging
import time
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from ..modules.pondering import PonderingClassifier

logger = logging.getLogger(__name__)
LARGEST_BYTES = 4 * 2**30
TOKENS_AT_ONCE = 4096


class PooledStates:
    """z_1..z_N by a sentence's token ids, which say all of it where the network is frozen and has no dropout.

    They take 4 N C bytes a sentence in float32: 62 MB for 6,735 sentences of MiniLM-L6, 295 MB for 8,000 of a base model.
    Beyond ``LARGEST_BYTES`` sentences are computed again whenever they are asked for.
    """

    def __init__(self, network: PonderingClassifier):
        self.network = network
        self.padding_id = network.encoder.shape.padding_id
        self.by_tokens: dict[bytes, Tensor] = {}
        self.bytes = 0

    def prepare(self, sentences: Iterable[Tensor]) -> None:
        """Computes those that are not there. Shape: [T_i] token ids each."""
        missing = [sentence for sentence in sentences if _key(sentence) not in self.by_tokens]
        if not missing or self.bytes > LARGEST_BYTES:
            return
        start = time.perf_counter()
        for some, pooled in self._computed(missing):
            for sentence, states in zip(some, pooled.unbind(1)):
                self.by_tokens[_key(sentence)] = states.clone()
            self.bytes += pooled.nbytes
            if self.bytes > LARGEST_BYTES:
                break
        logger.info(f"pooled vectors of {len(self.by_tokens)} sentences are kept, {self.bytes / 2**20:.0f} MiB "
                    f"({time.perf_counter() - start:.1f} s)")

    def of(self, tokens: Tensor) -> Tensor:
        """Shape: token ids [B, T], padded -> [N, B, C]."""
        sentences = [row[row.ne(self.padding_id)] for row in tokens.cpu()]
        keys = [_key(sentence) for sentence in sentences]
        states = {key: self.by_tokens.get(key) for key in keys}
        for some, pooled in self._computed([sentence for key, sentence in zip(keys, sentences) if states[key] is None]):
            states.update(zip(map(_key, some), pooled.unbind(1)))
        return torch.stack([states[key] for key in keys], dim=1)

    @torch.no_grad()
    def _computed(self, sentences: list[Tensor]) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Sentences of about equal length at once, shortest first, and their pooled vectors [N, B, C]."""
        device = self.network.encoder.embed_tokens.weight.device
        some, tokens = [], 0
        ordered = sorted(sentences, key=len)
        for i, sentence in enumerate(ordered, start=1):
            some.append(sentence)
            tokens += len(sentence)
            if tokens >= TOKENS_AT_ONCE or i == len(ordered):
                batch = self.network.packed([sentence.to(device) for sentence in some])
                yield some, self.network.pooled(batch)
                some, tokens = [], 0


def _key(sentence: Tensor) -> bytes:
    return sentence.numpy().tobytes()
