"""BERT's initialisation."""

from torch import nn

STANDARD_DEVIATION = 0.02  # BERT (arXiv 1810.04805), as in its released code


def initialise(module: nn.Module) -> None:
    """Linear and embedding weights from N(0, 0.02²), biases and padding rows 0, LayerNorm 1 and 0; in place."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=STANDARD_DEVIATION)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.Embedding) and part.padding_idx is not None:
            nn.init.zeros_(part.weight[part.padding_idx])
