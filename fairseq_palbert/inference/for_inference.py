"""Prepare a trained network for inference in a given number format."""

import torch
from torch import nn
from torch.nn import functional as F

from ..compat import onednn
from ..errors import UserError
from ..modules.lambda_module import MlpLambda
from ..modules.pondering import PonderingClassifier
from ..modules.recurrent import RecurrentEncoder
from ..modules.transformer import TransformerLayer, gelu_tanh
from .int8_linear import Int8Linear
from .prepacked_linear import PrepackedLinear, can_prepack
from .split_mlp_lambda import SplitMlpLambda

FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INT8 = "int8"
DTYPES = (*FLOATS, INT8)
# of a lambda module's linear layer that is prepacked: PALBERT's has 2.4 million, one of width 128 has 0.2 million
MIN_LAMBDA_WEIGHTS = 2**20
FUSED = {F.gelu: ("gelu", "none"), gelu_tanh: ("gelu", "tanh"), F.relu: ("relu", "")}  # oneDNN's name and variant


def for_inference(network: PonderingClassifier, dtype: str, device: torch.device) -> PonderingClassifier:
    """The same network, changed in place: in evaluation mode, on the device, with prepacked linear layers.

    On the CPU, the encoder's linear layers and large ones of the lambda module are prepacked. The other heads have one
    row per sentence; torch's own product is faster for few rows and few weights.

    ``int8``: the encoder's linear layers have int8 weights with one scale per output, and quantize their inputs at
    every call. Everything else stays float32. Raises UserError where the device does not support the format.
    """
    if dtype == INT8 and device.type != "cpu":
        raise UserError(f"dtype {INT8} is for the CPU: on {device.type} choose bfloat16 or float16")
    if dtype == INT8 and isinstance(network.encoder, RecurrentEncoder):
        raise UserError(f"dtype {INT8} is for the linear layers of encoders, and a recurrent cell has none: choose "
                        "float32 or bfloat16")
    if dtype == INT8 and not onednn.has_linear():
        raise UserError(f"dtype {INT8} needs a torch built with oneDNN, which this one is not: choose float32 or "
                        "bfloat16")
    network.eval().requires_grad_(False).to(device, FLOATS.get(dtype, torch.float32))
    if dtype == INT8:
        _replace_linear(network.encoder.layers, Int8Linear)
    _split_lambda(network)
    _replace_linear(network.encoder, PrepackedLinear)
    if network.halts:
        _replace_linear(network.split_lambda or network.lambda_module, PrepackedLinear, MIN_LAMBDA_WEIGHTS)
    return network


def _split_lambda(network: PonderingClassifier) -> None:
    plain, heads = network.lambda_module, network.heads_shape
    if isinstance(plain, MlpLambda) and len(plain.readout.copies) == 1:
        network.split_lambda = SplitMlpLambda(plain, heads.lambda_reads, network.encoder.hidden_size, heads.outputs,
                                              network.depth, network.layer_embedding)
        network.lambda_module = network.layer_embedding = None


def _replace_linear(module: nn.Module, replacement: type[PrepackedLinear | Int8Linear], min_weights: int = 0) -> None:
    """Replace linear layers of at least ``min_weights`` weights, in place."""
    if isinstance(module, TransformerLayer) and module.activation in FUSED and can_prepack(module.fc1):
        module.fc1 = replacement(module.fc1, FUSED[module.activation])
        module.activation = nn.Identity()
    for name, child in module.named_children():
        if can_prepack(child) and child.weight.numel() >= min_weights:
            setattr(module, name, replacement(child))
        else:
            _replace_linear(child, replacement, min_weights)
