"""A trained network made ready for inference, in the type of numbers asked for."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import UserError
from ..modules.lambda_module import MlpLambda
from ..modules.pondering import PonderingClassifier
from ..modules.transformer import TransformerLayer, gelu_tanh
from .prepacked_linear import PrepackedLinear, can_prepack
from .split_mlp_lambda import SplitMlpLambda

FLOATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INT8 = "int8"
DTYPES = (*FLOATS, INT8)
MANY = 2**20  # weights of a lambda module's linear layer that are laid out: PALBERT's has 2.4 million, one of width 128 0.2
FUSED = {F.gelu: ("gelu", "none"), gelu_tanh: ("gelu", "tanh"), F.relu: ("relu", "")}  # oneDNN's name and variant


def for_inference(network: PonderingClassifier, dtype: str, device: torch.device) -> PonderingClassifier:
    """The same network, changed for good: in evaluation mode, on the device, the linear layers laid out for it that gain by
    it: the encoder's, and large ones of the lambda module. Other heads have a row a sentence, and so few rows of few weights
    are faster by torch's own product.

    ``int8``: the weights of the encoder's linear layers as integers of 8 bits, a scale an output, their inputs rounded in
    passing; everything else stays float32. Raises UserError where the device cannot compute so.
    """
    if dtype == INT8 and device.type != "cpu":
        raise UserError(f"dtype {INT8} is for the CPU: on {device.type} choose bfloat16 or float16")
    network.eval().requires_grad_(False).to(device, FLOATS.get(dtype, torch.float32))
    if dtype == INT8:
        _quantize(network.encoder.layers)
    _split_lambda(network)
    _prepack(network.encoder)
    if network.halts:
        _prepack(network.split_lambda or network.lambda_module, MANY)
    return network


def _quantize(layers: nn.Module) -> None:
    """By torch's dynamic quantization, in place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch means to leave this to torchao, whose int8 needs a compiler at run time
        linear = {nn.Linear: torch.ao.quantization.per_channel_dynamic_qconfig}
        torch.ao.quantization.quantize_dynamic(layers, linear, inplace=True)


def _split_lambda(network: PonderingClassifier) -> None:
    plain, heads = network.lambda_module, network.heads_shape
    if isinstance(plain, MlpLambda) and len(plain.readout.copies) == 1:
        network.split_lambda = SplitMlpLambda(plain, heads.lambda_reads, network.encoder.hidden_size, heads.outputs,
                                              network.depth, network.layer_embedding)
        network.lambda_module = network.layer_embedding = None


def _prepack(module: nn.Module, least: int = 0) -> None:
    """Linear layers of at least so many weights."""
    if isinstance(module, TransformerLayer) and module.activation in FUSED and can_prepack(module.fc1):
        module.fc1 = PrepackedLinear(module.fc1, FUSED[module.activation])
        module.activation = nn.Identity()
    for name, child in module.named_children():
        if can_prepack(child) and child.weight.numel() >= least:
            setattr(module, name, PrepackedLinear(child))
        else:
            _prepack(child, least)
