"""Tests of modules without memory: their shapes, and no import of torch's compiler."""

import subprocess
import sys
from pathlib import Path

import torch

from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.modules.without_memory import without_memory

ROOT = Path(__file__).parents[2]
BUILD = """
import sys
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.without_memory import without_memory
with without_memory():
    Encoder(EncoderShape(20, 1, 2, 24, 2, 16, 32, 2))
print("torch._dynamo" in sys.modules)
"""


def build() -> PonderingClassifier:
    return PonderingClassifier(Encoder(EncoderShape(20, 1, 2, 24, 2, 16, 32, 2)), HeadsShape(outputs=2))


def test_shapes_are_those_of_a_network_with_memory():
    with without_memory():
        empty = build().state_dict()
    assert all(tensor.is_meta for tensor in empty.values())
    assert {name: tensor.shape for name, tensor in empty.items()} == {
        name: tensor.shape for name, tensor in build().state_dict().items()}
    assert torch.nn.Embedding(9, 4).weight.std() > 0.1, "outside of the block, numbers are drawn"


def test_the_compiler_is_not_imported():
    done = subprocess.run([sys.executable, "-c", BUILD], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
