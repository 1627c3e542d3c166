"""The same weights in every program that is timed: ours as trained and ready for inference, fairseq's, transformers', ONNX."""

import copy
import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import torch
import transformers
from fairseq.data import Dictionary
from fairseq.models.roberta import RobertaModel
from onnxruntime.transformers import optimizer
from torch import Tensor, nn

from fairseq_palbert.families import FAMILIES
from fairseq_palbert.models.starting_weights import ENCODER
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.for_inference import for_inference
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from preprocess.encoder_source import POOLER
from preprocess.hugging_face_folder import write_encoder

HEAD = "sentence_classification_head"
BEGIN, PADDING, END = 0, 1, 2
TO_STOCK = {
    "embedding_norm": "layernorm_embedding", "attention_norm": "self_attn_layer_norm", "out_proj": "self_attn.out_proj",
    "output_norm": "final_layer_norm",
}


def random_network(vocabulary: int, layers: int, hidden: int, outputs: int) -> PonderingClassifier:
    """A RoBERTa of 64 units a head with PALBERT's lambda module and random weights, in evaluation mode."""
    shape = EncoderShape(vocabulary=vocabulary, padding_id=PADDING, separator_id=END, max_positions=512, layers=layers,
                         hidden=hidden, ffn_hidden=4 * hidden, heads=hidden // 64, first_position=PADDING + 1)
    return PonderingClassifier(Encoder(shape), HeadsShape(outputs=outputs)).eval().requires_grad_(False)


def ready(network: PonderingClassifier, dtype: str, device: torch.device) -> PonderingClassifier:
    return for_inference(copy.deepcopy(network), dtype, device)


def stock_roberta(network: PonderingClassifier) -> RobertaModel:
    """fairseq's own model with its classification head, in evaluation mode."""
    shape = network.encoder.shape
    dictionary = Dictionary()
    for entry in range(shape.vocabulary - len(dictionary)):
        dictionary.add_symbol(str(entry))
    args = Namespace(arch="roberta", task="sentence_prediction", data="", max_positions=shape.max_positions,
                     encoder_layers=shape.layers, encoder_embed_dim=shape.hidden, encoder_ffn_embed_dim=shape.ffn_hidden,
                     encoder_attention_heads=shape.heads, pooler_activation_fn="tanh")
    model = RobertaModel.build_model(args, Namespace(source_dictionary=dictionary)).eval()
    model.register_classification_head(HEAD, num_classes=network.outputs)
    model.load_state_dict(_stock_names(network), strict=False)
    return model


def _stock_names(network: PonderingClassifier) -> dict[str, Tensor]:
    named = {}
    for name, tensor in network.encoder.state_dict().items():
        module, _, leaf = name.rpartition(".")
        prefix, _, part = module.rpartition(".")
        place = "encoder.sentence_encoder." + (f"{prefix}." if prefix else "")
        if part == "qkv_proj":
            for theirs, third in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3)):
                named[f"{place}self_attn.{theirs}.{leaf}"] = third
        else:
            named[f"{place}{TO_STOCK.get(part, part)}.{leaf}"] = tensor
    for theirs, ours in (("dense", network.pooler.copies[-1]), ("out_proj", network.classifier.copies[-1][-1])):
        named |= {f"classification_heads.{HEAD}.{theirs}.{leaf}": tensor for leaf, tensor in ours.state_dict().items()}
    return named


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
    tokens = torch.full((2, 7), END)
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
