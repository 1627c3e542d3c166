"""Select the checkpoint tensors that a model starts from.

A checkpoint of the plugin itself is restored whole: every tensor must match. From a stock RoBERTa, a converted encoder
or a model of another task, the whole encoder and the requested heads are loaded; all else keeps its fresh values.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from ..checkpoints.formats.names import ENCODER, NETWORK
from ..checkpoints.formats.stock_checkpoint import encoder_from_stock, is_stock
from ..errors import UserError

# Not the classifier of another task: its outputs are other labels, even where their number is the same.
TRANSFERABLE_HEADS = ("pooler", "lambda_module", "layer_embedding", "learned_exit")
_ADVICE = "use the --arch, flags and dictionary that it was made with"


@dataclass(frozen=True)
class StartingWeights:
    """``weights`` has a tensor for every name of the model; the other fields list modules for the log."""

    weights: dict[str, Tensor]
    loaded: list[str]
    dropped: list[str]
    initialised: list[str]

    def __str__(self) -> str:
        parts = {"loaded": self.loaded, "dropped": self.dropped, "initialised afresh": self.initialised}
        return "; ".join(f"{what}: {', '.join(names) or 'nothing'}" for what, names in parts.items())


@dataclass(frozen=True)
class StartingPoint:
    """A checkpoint's ``name`` and the ``heads`` to load from it; None where all of it must match.

    ``spread``: a head that it has for all layers is copied to each layer, where the model has one per layer.
    ``truncate``: its encoder may be deeper than the model's.
    """

    name: str
    heads: tuple[str, ...] | None = None
    spread: bool = False
    truncate: bool = False

    def weights(self, offered: dict[str, Tensor], fresh: dict[str, Tensor]) -> StartingWeights:
        """The starting weights, from the checkpoint's tensors and the model's own.

        Raises UserError for the first tensor that does not fit.
        """
        if is_stock(offered):
            encoder, others = encoder_from_stock(offered)
            encoder = {ENCODER + name: tensor for name, tensor in encoder.items()}
            return self._transferred(encoder, others, fresh, heads=())
        if not _with_prefix(NETWORK, offered):
            raise UserError(f"{self.name} holds neither a model of this plugin nor fairseq's RoBERTa: its first tensor "
                            f"is {next(iter(offered), 'missing')}")
        if self.heads is not None:
            return self._transferred(offered, [], fresh, self.heads)
        self.check_fit(offered, fresh)
        return StartingWeights(offered, loaded=_modules(offered), dropped=[], initialised=[])

    def _transferred(self, offered: dict[str, Tensor], others: list[str], fresh: dict[str, Tensor],
                     heads: tuple[str, ...]) -> StartingWeights:
        encoder = _with_prefix(ENCODER, offered)
        loaded = {name: tensor for name, tensor in encoder.items() if name in fresh} if self.truncate else dict(encoder)
        self.check_fit(loaded, _with_prefix(ENCODER, fresh))
        if len(loaded) < len(encoder):
            others = [*others, "network.deeper encoder layers"]
        for head in heads:
            wanted, tensors = _with_prefix(f"{NETWORK}{head}.", fresh), _with_prefix(f"{NETWORK}{head}.", offered)
            if self.spread:
                tensors = _copied_to_layers(tensors, wanted)
            if _shapes(tensors) == _shapes(wanted):
                loaded |= tensors
        return StartingWeights(
            weights={**fresh, **loaded},
            loaded=_modules(loaded),
            dropped=_modules([*others, *(name for name in offered if name not in loaded)]),
            initialised=_modules(name for name in fresh if name not in loaded),
        )

    def check_fit(self, offered: dict[str, Tensor], fresh: dict[str, Tensor]) -> None:
        """Raises UserError at the first tensor that the checkpoint or the model lacks, or that differ in size."""
        for name, tensor in fresh.items():
            if name not in offered:
                raise UserError(f"{self.name} does not fit the model: it has no {name} ({_size(tensor)}); {_ADVICE}")
            if offered[name].shape != tensor.shape:
                raise UserError(f"{self.name} does not fit the model: {name} is {_size(offered[name])} there and "
                                f"{_size(tensor)} in the model; {_ADVICE}")
        for name in offered:
            if name not in fresh:
                raise UserError(f"{self.name} does not fit the model, which has no {name}; {_ADVICE}")


def has_classifier(weights: dict[str, Tensor]) -> bool:
    """Whether these weights are of a model trained for a task, not of an encoder alone."""
    return bool(_with_prefix(f"{NETWORK}classifier.", weights))


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _copied_to_layers(tensors: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """A head for all layers, copied to each wanted layer; other heads unchanged."""
    sources = {name: re.sub(r"\.copies\.\d+\.", ".copies.0.", name) for name in wanted}
    if set(sources.values()) != tensors.keys():
        return tensors
    return {name: tensors[source] for name, source in sources.items()}


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _modules(names: Iterable[str]) -> list[str]:
    """The modules that hold the tensors, each once.

    network.pooler.copies.0.bias -> pooler, encoder.lm_head.bias -> encoder.lm_head.
    """
    modules = (name.split(".")[1] if name.startswith(NETWORK) else ".".join(name.split(".")[:2]) for name in names)
    return list(dict.fromkeys(modules))
