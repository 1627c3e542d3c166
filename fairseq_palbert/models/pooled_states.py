"""Pooled vectors of a frozen network, computed once for all epochs.

Sizes: N layers, B sentences, T tokens of the longest, C hidden units.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..files import replacing
from ..modules.pondering import PonderingClassifier
from ..tensor_files import save_tensors

logger = logging.getLogger(__name__)
LARGEST_BYTES = 4 * 2**30
DIGEST = "evaluated_weights"  # files of earlier versions have "weights", and vectors with dropout
TOKENS_AT_ONCE = 4096


class PooledStates:
    """z_1..z_N by a sentence's token ids, which determine them: the network is frozen and has no dropout.

    They take 4 N C bytes per sentence in float32: 62 MB for 6,735 sentences of MiniLM-L6, 295 MB for 8,000 of a base
    model. Beyond ``LARGEST_BYTES``, sentences are computed again at every use. A ``file`` keeps them for the next run
    on the same ``frozen`` modules; it holds the SHA-256 of their weights.
    """

    def __init__(self, network: PonderingClassifier, frozen: Iterable[nn.Module] = (), file: Path | None = None):
        self.network = network
        self.frozen = list(frozen)
        self.file = file
        self.padding_id = network.encoder.shape.padding_id
        self.by_tokens: dict[bytes, Tensor] = {}
        self.bytes = 0

    def prepare(self, sentences: Iterable[Tensor]) -> None:
        """Computes the sentences that are missing. Shape: [T_i] token ids each."""
        sentences = list(sentences)
        if self.file and not self.by_tokens:
            self._read()
        missing = [sentence for sentence in sentences if _key(sentence) not in self.by_tokens]
        if not missing or self.bytes > LARGEST_BYTES:
            return
        start = time.perf_counter()
        for part, pooled in self._computed(missing):
            self._keep(map(_key, part), pooled)
            if self.bytes > LARGEST_BYTES:
                break
        logger.info(f"pooled vectors of {len(self.by_tokens)} sentences are kept, {self.bytes / 2**20:.0f} MiB "
                    f"({time.perf_counter() - start:.1f} s)")
        if self.file:
            self._write()

    def of(self, tokens: Tensor) -> Tensor:
        """The pooled vectors of these sentences. Shape: token ids [B, T], padded -> [N, B, C]."""
        sentences = [row[row.ne(self.padding_id)] for row in tokens.cpu()]
        keys = [_key(sentence) for sentence in sentences]
        states = {key: self.by_tokens.get(key) for key in keys}
        for part, pooled in self._computed([sentence for key, sentence in zip(keys, sentences) if states[key] is None]):
            states.update(zip(map(_key, part), pooled.unbind(1)))
        return torch.stack([states[key] for key in keys], dim=1)

    def _keep(self, keys: Iterable[bytes], pooled: Tensor) -> None:
        self.by_tokens.update(zip(keys, (states.clone() for states in pooled.unbind(1))))
        self.bytes += pooled.nbytes

    def _weights(self) -> str:
        digest = sha256()
        for module in self.frozen:
            for name, tensor in module.state_dict().items():
                digest.update(name.encode()
                              + tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _read(self) -> None:
        """Reads the file; ignores one that is missing, damaged or made with other weights."""
        try:
            with safe_open(self.file, framework="pt") as kept:
                if (kept.metadata() or {}).get(DIGEST) != self._weights():
                    return
                tokens, lengths, pooled = (kept.get_tensor(name) for name in ("tokens", "lengths", "pooled"))
        except (OSError, SafetensorError):
            return
        self._keep(map(_key, tokens.split(lengths.tolist())), pooled.to(self._device))

    def _write(self) -> None:
        """Raises UserError where the file cannot be written."""
        tokens = [torch.from_numpy(np.frombuffer(key, dtype=np.int64).copy()) for key in self.by_tokens]
        tensors = {"tokens": torch.cat(tokens), "lengths": torch.tensor([len(ids) for ids in tokens]),
                   "pooled": torch.stack(list(self.by_tokens.values()), dim=1).cpu()}
        with replacing(self.file) as part:
            save_tensors(tensors, part, {DIGEST: self._weights()})

    @property
    def _device(self) -> torch.device:
        return self.network.encoder.embed_tokens.weight.device

    @torch.no_grad()
    def _computed(self, sentences: list[Tensor]) -> Iterator[tuple[list[Tensor], Tensor]]:
        """Groups of sentences of about equal length, shortest first, with their pooled vectors [N, B, C]."""
        part, tokens = [], 0
        ordered = sorted(sentences, key=len)
        for i, sentence in enumerate(ordered, start=1):
            part.append(sentence)
            tokens += len(sentence)
            if tokens >= TOKENS_AT_ONCE or i == len(ordered):
                batch = self.network.packed(part)
                yield part, self.network.pooled(batch)
                part, tokens = [], 0


def _key(sentence: Tensor) -> bytes:
    return sentence.numpy().tobytes()
