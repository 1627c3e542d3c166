"""fairseq's registries of models and presets, and its reading of ``--bf16``.

fairseq has no public way to give a bare model name a preset, or to look up a model's class by ``--arch``.
"""

from argparse import Namespace
from collections.abc import Callable

from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, BaseFairseqModel


def set_preset(model: str, fill_in: Callable[[Namespace], None]) -> None:
    """Makes fairseq call ``fill_in`` with the command line's flags for the bare ``--arch`` ``model``.

    It replaces a function without effect, which ``register_model`` has put there.
    """
    ARCH_CONFIG_REGISTRY[model] = fill_in


def model_class(arch: str) -> type[BaseFairseqModel]:
    return ARCH_MODEL_REGISTRY[arch]


def undo_tpu(args: Namespace) -> None:
    """Corrects fairseq, which takes ``--bf16`` to mean a TPU and then calls functions that only torch_xla has."""
    args.tpu = args.tpu and not args.bf16
