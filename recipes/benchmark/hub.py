"""transformers' encoder with our weights, and what ONNX Runtime makes of it."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import torch
import transformers
from onnxruntime.transformers import optimizer
from torch import Tensor, nn

from fairseq_palbert.families import FAMILIES
from fairseq_palbert.models.starting_weights import ENCODER
from fairseq_palbert.modules.pondering import PonderingClassifier
from preprocess.encoder_source import POOLER
from preprocess.hugging_face_folder import write_encoder


class HubModel(nn.Module):
    """``transformers``' encoder and pooler with our classifier; logits of the last layer."""

    def __init__(self, network: PonderingClassifier, folder: Path):
        super().__init__()
        weights = {ENCODER + name: tensor for name, tensor in network.encoder.state_dict().items()}
        weights |= {POOLER + leaf: tensor for leaf, tensor in network.pooler.copies[-1].state_dict().items()}
        same_ids = SimpleNamespace(native_ids=np.arange(network.encoder.shape.vocabulary))
        write_encoder(folder, FAMILIES["roberta"], network.encoder.shape, weights, same_ids)
        self.encoder = transformers.AutoModel.from_pretrained(folder, attn_implementation="sdpa").eval()
        self.classifier = copy.deepcopy(network.classifier.copies[-1][-1])

    def forward(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """Shape: [B, T], [B, T] -> [B, K]."""
        return self.classifier(self.encoder(tokens, attention_mask=attended).pooler_output)


def onnx_session(model: HubModel, folder: Path, threads: int) -> onnxruntime.InferenceSession:
    """The full-depth model exported by torch and optimised by ONNX Runtime's own optimiser for transformers."""
    exported, optimised = folder / "exported.onnx", folder / "optimised.onnx"
    tokens = torch.full((2, 7), 2)
    axes = {0: "sentences", 1: "tokens"}
    torch.onnx.export(model, (tokens, torch.ones_like(tokens)), str(exported), input_names=["tokens", "attended"],
                      output_names=["logits"], dynamic_axes={"tokens": axes, "attended": axes, "logits": {0: "sentences"}},
                      dynamo=False)
    config = json.loads((folder / "config.json").read_text())
    optimizer.optimize_model(str(exported), model_type="bert", num_heads=config["num_attention_heads"],
                             hidden_size=config["hidden_size"]).save_model_to_file(str(optimised), use_external_data_format=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(optimised), options, providers=["CPUExecutionProvider"])
