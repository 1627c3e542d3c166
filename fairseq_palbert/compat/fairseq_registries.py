"""fairseq's registries of models and presets, and its reading of ``--bf16``.

fairseq registers a preset only under a name of its own, and offers no look-up of a model's class by ``--arch``.
"""

from argparse import Namespace
from collections.abc import Callable

from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, BaseFairseqModel


def set_preset(model: str, fill_in: Callable[[Namespace], None]) -> None:
    """Call ``fill_in`` with the command line's flags for the bare ``--arch`` ``model``.

    ``register_model`` has put a function there that does nothing.
    """
    ARCH_CONFIG_REGISTRY[model] = fill_in


def model_class(arch: str) -> type[BaseFairseqModel]:
    return ARCH_MODEL_REGISTRY[arch]


def undo_tpu(args: Namespace) -> None:
    """fairseq takes ``--bf16`` to mean a TPU, and then calls functions that only torch_xla has."""
    args.tpu = args.tpu and not args.bf16
