"""Tag parameters with their part of the model, for learning rates.

The parts are ``encoder``, ``classifier`` (with pooler and learned-exit head) and ``lambda`` (the lambda module and its
layer embedding). A parameter of the encoder also has a depth: 0 in the embeddings, n in layer n of 1..N. A parameter
that layers share has the depth of the last of them; all layers share a relative position bias.
"""

from torch import nn

PARTS = ("encoder", "classifier", "lambda")
PART_OF_HEAD = {
    "pooler": "classifier",
    "classifier": "classifier",
    "learned_exit": "classifier",
    "lambda_module": "lambda",
    "layer_embedding": "lambda",
}


def tag_parameters(network: nn.Module) -> None:
    """Sets two attributes on every parameter of a ``PonderingClassifier``.

    ``param_group`` names the optimizer's group: ``encoder_0`` (the embeddings) to ``encoder_N``, ``classifier`` or
    ``lambda``. ``optim_overrides`` holds ``part``, and ``layers_above`` = N − depth, which is 0 for the heads.
    fairseq's copies of the parameters for fp16 and bf16 keep these two attributes and no other.

    Raises ValueError for a parameter that belongs to no part.
    """
    for name, parameter in network.named_parameters():
        part, depth = _part_and_depth(name, network)
        in_encoder = part == "encoder"
        parameter.param_group = f"encoder_{depth}" if in_encoder else part
        parameter.optim_overrides = {"part": part, "layers_above": network.depth - depth if in_encoder else 0}


def _part_and_depth(name: str, network: nn.Module) -> tuple[str, int]:
    """The part and the depth, which is 0 outside the encoder. ``encoder.layers.0.fc1.weight`` -> ("encoder", 1)."""
    module, *inner = name.split(".")
    if module in PART_OF_HEAD:
        return PART_OF_HEAD[module], 0
    if module == "encoder" and inner[0] == "layers":
        return "encoder", network.encoder.shape.deepest(int(inner[1]))
    if module == "encoder" and inner[0].startswith("embed"):
        return "encoder", 0
    if module == "encoder" and inner[0] == "relative_bias":
        return "encoder", network.depth
    raise ValueError(f"parameter {name!r} belongs to no part ({', '.join(PARTS)}) of the model")
