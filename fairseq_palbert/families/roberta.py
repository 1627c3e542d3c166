"""RoBERTa (arXiv 1907.11692): BERT's encoder without segments.

Positions are counted from 2, fairseq's padding id plus 1.
"""

from . import bert
from .base import Family

# fairseq's model has no segment table; the Hub's has one row, which is zero in fairseq's converted weights
COMMON = {"encoder_segments": 0, "encoder_norm_eps": 1e-5}


def preset(layers: int, hidden: int, heads: int) -> dict:
    return bert.preset(layers, hidden, heads) | COMMON


FAMILY = Family(
    name="roberta",
    model_type="roberta",
    architecture="RobertaModel",
    first_position=2,
    presets={
        "base": preset(12, 768, 12),
        "large": preset(24, 1024, 16),
        "tiny": preset(6, 64, 4),
    },
    tensors=bert.TENSORS,
    defaults={"pad_token_id": 1},
    fixed={"pad_token_id": 1},  # positions are counted from the row after that of the padding
)
