"""Write an encoder and its tokenizer in the Hugging Face layout."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from ...errors import UserError
from ...families import Family
from ...files import write_json
from ...modules.encoder import EncoderShape
from ...tensor_files import save_tensors
from ...tokenization import Vocabulary
from .encoder_source import POOLER, TOKENS
from .hugging_face import ACTIVATIONS, CONFIG_FILE, RELATIVE, WEIGHT_FILES, their_modules
from .names import ENCODER
from .sentence_transformers import write_pooling


def check_expressible(name: str, family: Family, shape: EncoderShape, vocabulary: Vocabulary) -> None:
    """Raises UserError where no model of the family in ``transformers`` computes what this encoder does."""
    padding = vocabulary.native_ids[1]
    if family.first_position not in (0, padding + 1):
        raise UserError(f"{name}: positions of {family.name} begin after the padding id in transformers, at "
                        f"{padding + 1} with this vocabulary, and at {family.first_position} here: it cannot be "
                        "exported")
    grouped = any("{group}" in str(theirs) for theirs in family.tensors.values())
    if not grouped and (shape.groups not in (None, shape.layers) or shape.inner_layers != 1):
        raise UserError(f"{name}: layers of {family.name} share no weights in transformers, and this model has "
                        f"--encoder-groups or --encoder-inner-layers: it cannot be exported")
    if family.factorised != (shape.embedding is not None):
        raise UserError(f"{name}: embeddings of {family.name} are {'' if family.factorised else 'not '}projected in "
                        f"transformers, unlike those of this model (--encoder-embedding-dim): it cannot be exported")
    buckets = family.fixed.get(RELATIVE["encoder_relative_buckets"], 0)
    if shape.relative_buckets != buckets:
        raise UserError(f"{name}: {family.name} has {buckets} buckets of relative position in transformers, and this "
                        f"model {shape.relative_buckets} (--encoder-relative-buckets): it cannot be exported")
    if shape.segments and not family.has_segments:
        raise UserError(f"{name}: {family.name} has no segments in transformers, and this model {shape.segments} "
                        f"(--encoder-segments): it cannot be exported")


def write_encoder(folder: Path, family: Family, shape: EncoderShape, weights: Mapping[str, Tensor],
                  vocabulary: Vocabulary) -> dict[str, Tensor]:
    """Writes ``config.json`` and ``model.safetensors``; returns the tensors by their Hugging Face names.

    ``weights`` are those of the encoder and of at most one pooler, by our names.
    """
    native_ids = torch.from_numpy(vocabulary.native_ids)
    theirs = _tensors(family, shape, weights, native_ids)
    save_tensors(theirs, folder / WEIGHT_FILES[0], {"format": "pt"})
    config = _config(family, shape, native_ids) | {"dtype": str(weights[TOKENS].dtype).removeprefix("torch.")}
    write_json(folder / CONFIG_FILE, config)
    return theirs


def write_tokenizer(folder: Path, vocabulary: Vocabulary, shape: EncoderShape) -> None:
    """Adds to ``tokenizer.json``, as ``vocabulary`` saved it, the special tokens that the model was trained with.

    Also writes ``tokenizer_config.json``, which ``AutoTokenizer`` needs.
    """
    path = str(folder / "tokenizer.json")
    tokenizer = Tokenizer.from_file(path)
    begin, pad, end, unknown, mask = (*vocabulary.pieces[:4], vocabulary.pieces[-1])
    tokenizer.add_special_tokens([begin, pad, end, unknown, mask])
    second = 1 if shape.segments > 1 else 0
    separators = " ".join([f"{end}:0"] * vocabulary.separators)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{begin}:0 $A:0 {end}:0",
        pair=f"{begin}:0 $A:0 {separators} $B:{second} {end}:{second}",
        special_tokens=[(piece, tokenizer.token_to_id(piece)) for piece in (begin, end)],
    )
    tokenizer.save(path)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",  # reads tokenizer.json, for any family
        "model_max_length": shape.max_positions,
        "model_input_names": ["input_ids", *(["token_type_ids"] if second else []), "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "bos_token": begin, "cls_token": begin, "pad_token": pad, "eos_token": end, "sep_token": end,
        "unk_token": unknown, "mask_token": mask,
    }
    write_json(folder / "tokenizer_config.json", config)


MODEL_CARD = """# Encoder and pooler of an early-exit model of fairseq_palbert

```python
from transformers import AutoModel, AutoTokenizer

encoder, tokenizer = AutoModel.from_pretrained("."), AutoTokenizer.from_pretrained(".")
```

{remarks}"""


def write_model_card(folder: Path, remarks: Iterable[str], pooling: str | None, hidden: int) -> None:
    """Writes ``README.md``, and, if the pooling is known, what sentence-transformers reads it from."""
    text = MODEL_CARD.format(remarks="".join(f"- {remark}.\n" for remark in remarks))
    (folder / "README.md").write_text(text.rstrip() + "\n", encoding="utf-8")
    if pooling is not None:
        write_pooling(folder, pooling, hidden)


def _tensors(family: Family, shape: EncoderShape, weights: Mapping[str, Tensor],
             native_ids: Tensor) -> dict[str, Tensor]:
    """Their tensors by name: row i of our token embedding is their row ``native_ids[i]``.

    A model without segments gets one segment embedding of zeros where every model of the family has segments.
    """
    theirs = {}
    for name, tensor in weights.items():
        module, _, leaf = name.replace(POOLER, "pooler.").removeprefix(ENCODER).rpartition(".")
        if module == "embed_tokens":
            tensor = torch.empty_like(tensor).index_copy_(0, native_ids, tensor)
            if family.has_segments and not shape.segments:
                segments, = their_modules(family, shape, "embed_segments")
                theirs[f"{segments}.{leaf}"] = tensor.new_zeros(1, tensor.shape[1])
        modules = their_modules(family, shape, module)
        for their_module, part in zip(modules, tensor.chunk(len(modules)), strict=True):
            theirs[f"{their_module}.{leaf}"] = part.clone()  # safetensors takes no views of one tensor
    return theirs


def _config(family: Family, shape: EncoderShape, native_ids: Tensor) -> dict[str, Any]:
    begin, pad, end = native_ids[:3].tolist()
    sharing = {} if shape.embedding is None else {
        "embedding_size": shape.embedding,
        "num_hidden_groups": shape.groups or shape.layers,
        "inner_group_num": shape.inner_layers,
    }
    return {
        "architectures": [family.architecture],
        "model_type": family.model_type,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.ffn_hidden,
        "hidden_act": next(theirs for theirs, ours in ACTIVATIONS.items() if ours == shape.activation),
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.attention_dropout,
        "max_position_embeddings": shape.max_positions + shape.first_position,
        "layer_norm_eps": shape.norm_eps,
        **({"type_vocab_size": shape.segments or 1} if family.has_segments else {}),
        **({RELATIVE["encoder_relative_buckets"]: shape.relative_buckets} if family.has_relative_bias else {}),
        **sharing,
        "bos_token_id": begin,
        "pad_token_id": pad,
        "eos_token_id": end,
    }
