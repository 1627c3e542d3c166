"""fairseq's own RoBERTa with our weights."""

from argparse import Namespace

from fairseq.data import Dictionary
from fairseq.models.roberta import RobertaModel
from torch import Tensor

from fairseq_palbert.modules.pondering import PonderingClassifier

HEAD = "sentence_classification_head"
TO_STOCK = {
    "embedding_norm": "layernorm_embedding", "attention_norm": "self_attn_layer_norm", "out_proj": "self_attn.out_proj",
    "output_norm": "final_layer_norm",
}


def misfit(network: PonderingClassifier, family: str) -> str | None:
    """The reason why fairseq has no such model; None if it has one."""
    if family != "roberta":
        return f"fairseq's own model is a RoBERTa, and this one is of {family}"
    if network.encoder.shape.segments:
        return "fairseq's RoBERTa has no segments, and this model has"
    if network.heads_shape.pooling != "first":
        return "fairseq's RoBERTa reads the first token, and this model the mean over tokens"
    return None


def stock_roberta(network: PonderingClassifier) -> RobertaModel:
    """fairseq's own model with its classification head, in evaluation mode."""
    shape = network.encoder.shape
    dictionary = Dictionary()
    for entry in range(shape.vocabulary - len(dictionary)):
        dictionary.add_symbol(str(entry))
    args = Namespace(arch="roberta", task="sentence_prediction", data="", max_positions=shape.max_positions,
                     encoder_layers=shape.layers, encoder_embed_dim=shape.hidden,
                     encoder_ffn_embed_dim=shape.ffn_hidden,
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
