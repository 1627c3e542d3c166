"""transformers' encoder with our weights, and its export to ONNX Runtime."""

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

from fairseq_palbert.checkpoints.formats.hugging_face_folder import check_expressible, write_encoder
from fairseq_palbert.checkpoints.formats.names import ENCODER
from fairseq_palbert.families import FAMILIES
from fairseq_palbert.modules.pondering import PonderingClassifier

WITHOUT_SDPA = ("mpnet",)  # transformers computes its attention by a matrix product and a softmax


class HubModel(nn.Module):
    """``transformers``' encoder with our pooling, pooler and classifier; logits of the last layer.

    ``start`` and ``step`` give one layer at a time. Raises UserError where ``transformers`` has no such encoder.
    """

    def __init__(self, network: PonderingClassifier, family: str, folder: Path):
        super().__init__()
        self.shape = network.encoder.shape
        same_ids = SimpleNamespace(native_ids=np.arange(self.shape.vocabulary))
        check_expressible("the model", FAMILIES[family], self.shape, same_ids)
        weights = {ENCODER + name: tensor for name, tensor in network.encoder.state_dict().items()}
        write_encoder(folder, FAMILIES[family], self.shape, weights, same_ids)
        attention = "eager" if family in WITHOUT_SDPA else "sdpa"
        self.encoder = transformers.AutoModel.from_pretrained(folder, attn_implementation=attention,
                                                              add_pooling_layer=False).eval()
        self.sdpa = attention == "sdpa"
        self.mean = network.heads_shape.pooling == "mean"
        self.pooler = copy.deepcopy(network.pooler.copies[-1])
        self.classifier = copy.deepcopy(network.classifier.copies[-1][-1])

    def forward(self, tokens: Tensor, attended: Tensor) -> Tensor:
        """Shape: [B, T], [B, T] -> [B, K]."""
        hidden = self.encoder(tokens, attention_mask=attended, **self._segments(tokens)).last_hidden_state
        return self.classifier(torch.tanh(self.pooler(self.summarize(hidden, attended))))

    def summarize(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """The heads' input, pooled as by the network. Shape: [B, T, C], [B, T] -> [B, C]."""
        if not self.mean:
            return hidden[:, 0]
        real = attended[:, :, None].to(hidden.dtype)
        return (hidden * real).sum(1) / real.sum(1)

    def start(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Hidden states before layer 1, and the bias of the attention scores where there is one.
        Shape: [B, T] -> [B, T, C], [B, H, T, T]."""
        hidden = self.encoder.embeddings(input_ids=tokens, **self._segments(tokens))
        layers = self.encoder.encoder
        if self.shape.embedding is not None:
            hidden = layers.embedding_hidden_mapping_in(hidden)
        return hidden, layers.compute_position_bias(hidden) if self.shape.relative_buckets else None

    def step(self, n: int, hidden: Tensor, attended: Tensor, bias: Tensor | None) -> Tensor:
        """Hidden states after layer n of 1..N; rows of ``bias`` beyond those of ``hidden`` are not read."""
        layers, mask = self.encoder.encoder, attended.bool()[:, None, None, :]
        layer = layers.layer[n - 1] if self.shape.embedding is None else layers.albert_layer_groups[self.shape.group(n)]
        if not self.sdpa:
            mask = torch.zeros_like(mask, dtype=hidden.dtype).masked_fill(~mask, torch.finfo(hidden.dtype).min)
        output = layer(hidden, mask) if bias is None else layer(hidden, mask, bias[:len(hidden)])
        return output if isinstance(output, Tensor) else output[0]

    def _segments(self, tokens: Tensor) -> dict[str, Tensor]:
        """The number of separators before each token, as our encoder counts them. Shape: [B, T] -> [B, T]."""
        if self.shape.segments < 2:
            return {}
        separators = tokens.eq(self.shape.separator_id).long()
        return {"token_type_ids": (separators.cumsum(1) - separators).clamp(max=self.shape.segments - 1)}


def onnx_session(model: HubModel, folder: Path, threads: int) -> onnxruntime.InferenceSession:
    """The full-depth model, exported by torch and optimised by ONNX Runtime's optimiser for transformers."""
    exported, optimised = folder / "exported.onnx", folder / "optimised.onnx"
    tokens = torch.full((2, 7), 2)
    axes = {0: "sentences", 1: "tokens"}
    torch.onnx.export(model, (tokens, torch.ones_like(tokens)), str(exported), input_names=["tokens", "attended"],
                      output_names=["logits"],
                      dynamic_axes={"tokens": axes, "attended": axes, "logits": {0: "sentences"}},
                      dynamo=False)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    optimizer.optimize_model(str(exported), model_type="bert", num_heads=config["num_attention_heads"],
                             hidden_size=config["hidden_size"]).save_model_to_file(str(optimised),
                                                                                   use_external_data_format=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(optimised), options, providers=["CPUExecutionProvider"])
