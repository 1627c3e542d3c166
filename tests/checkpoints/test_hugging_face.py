"""Tests of reading Hugging Face folders: forms of files, old and new names, refusals."""

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fairseq_palbert.checkpoints.formats import hugging_face
from fairseq_palbert.checkpoints.formats.encoder_source import ENCODER, POOLER, SEGMENTS, expected_tensors, shape_of
from fairseq_palbert.checkpoints.formats.hugging_face import read_hugging_face, settings_of, their_modules
from fairseq_palbert.errors import UserError
from fairseq_palbert.families import FAMILIES

SIZES = {"num_hidden_layers": 4, "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2, "vocab_size": 11,
         "max_position_embeddings": 9}
CONFIGS = {
    "bert": {"model_type": "bert", **SIZES, "layer_norm_eps": 1e-7},
    "roberta": {"model_type": "roberta", **SIZES, "type_vocab_size": 1},
    "albert": {"model_type": "albert", **SIZES, "embedding_size": 6, "num_hidden_groups": 2, "inner_group_num": 3},
    "mpnet": {"model_type": "mpnet", **SIZES},
}


def their_tensors(name: str) -> dict[str, torch.Tensor]:
    """Returns random tensors for the family's model in CONFIGS, by their names in transformers without a prefix."""
    torch.manual_seed(4)
    settings, vocabulary = settings_of(Path("config.json"), CONFIGS[name], FAMILIES[name])
    shape = shape_of(name, FAMILIES[name], settings, vocabulary)
    tensors = {}
    for ours, (rows, *columns) in expected_tensors(shape).items():
        module, leaf = ours.replace(POOLER, "pooler.").removeprefix(ENCODER).rsplit(".", 1)
        modules = their_modules(FAMILIES[name], shape, module)
        tensors |= {f"{their}.{leaf}": torch.randn(rows // len(modules), *columns) for their in modules}
    return tensors


@pytest.fixture
def write(tmp_path):
    """write(family, tensors, **config) writes a folder; settings that are None are left out of its config.json."""

    def make(name: str, tensors: dict | None = None, **config) -> Path:
        settings = {key: value for key, value in (CONFIGS[name] | config).items() if value is not None}
        (tmp_path / "config.json").write_text(json.dumps(settings))
        if tensors is not None:
            save_file(tensors, tmp_path / "model.safetensors")
        return tmp_path

    return make


@pytest.mark.parametrize("name", CONFIGS)
def test_any_head_and_older_names_make_no_difference(name, write, tmp_path):
    bare = their_tensors(name)
    plain = read_hugging_face(write(name, bare), "plain")
    assert plain.used == sorted(bare) and not plain.dropped and not plain.initialised
    below = {f"{name}.{their}": tensor for their, tensor in bare.items()}
    for old, new in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        below = {their.replace(new, old): tensor for their, tensor in below.items()}
    head = {"lm_head.bias": torch.zeros(3), "cls.predictions.bias": torch.zeros(3), "classifier.weight": torch.zeros(3),
            f"{name}.embeddings.position_ids": torch.arange(9)}
    other = read_hugging_face(write(name, below | head), "other")
    assert sorted(other.dropped) == sorted(head)
    assert sorted(other.used) == sorted(below)
    assert plain.weights.keys() == other.weights.keys()
    assert all(torch.equal(plain.weights[ours], other.weights[ours]) for ours in plain.weights)
    assert (plain.settings, plain.family) == (other.settings, FAMILIES[name])


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("shards", [1, 3])
def test_all_forms_hold_the_same(form, shards, write, tmp_path):
    tensors = their_tensors("bert")
    folder = write("bert")
    stem, suffix = form.split(".")
    places = {name: f"{stem}-{i % shards}.{suffix}" if shards > 1 else form for i, name in enumerate(tensors)}
    for file in set(places.values()):
        part = {name: tensor for name, tensor in tensors.items() if places[name] == file}
        if suffix == "bin":
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file)
    if shards > 1:
        (folder / f"{form}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    found = read_hugging_face(folder, "bert")
    assert sorted(found.used) == sorted(tensors) and len(found.files) == 1 + shards + (shards > 1)
    assert torch.equal(found.weights[f"{ENCODER}layers.1.fc1.bias"], tensors["encoder.layer.1.intermediate.dense.bias"])


def test_groups_and_inner_layers_of_albert(write):
    tensors = their_tensors("albert")
    weights = read_hugging_face(write("albert", tensors), "albert").weights
    ours, theirs = weights[f"{ENCODER}layers.5.fc1.weight"], "encoder.albert_layer_groups.1.albert_layers.2.ffn.weight"
    assert torch.equal(ours, tensors[theirs])


def test_settings_an_older_file_leaves_out(write):
    found = read_hugging_face(write("bert", their_tensors("bert"), layer_norm_eps=None, max_position_embeddings=9),
                              "bert")
    assert found.settings["encoder_norm_eps"] == 1e-12 and found.settings["activation_fn"] == "gelu"
    assert found.settings["dropout"] == 0.1 and found.settings["encoder_segments"] == 2
    albert, _ = settings_of(Path("config.json"), {**CONFIGS["albert"], "num_hidden_groups": 1}, FAMILIES["albert"])
    assert albert["activation_fn"] == "gelu_tanh" and albert["dropout"] == 0.0


def test_mpnet_has_no_segments_whatever_other_families_assume(write):
    found = read_hugging_face(write("mpnet", their_tensors("mpnet")), "mpnet")
    assert (found.settings["encoder_segments"], found.settings["encoder_relative_buckets"]) == (0, 32)
    assert found.settings["encoder_norm_eps"] == 1e-12 and found.settings["encoder_max_positions"] == 7
    assert found.weights[f"{ENCODER}relative_bias.weight"].shape == (32, 2)


def test_a_segment_row_of_zeros_is_dropped_and_named(write):
    tensors = their_tensors("roberta")
    assert read_hugging_face(write("roberta", tensors), "roberta").settings["encoder_segments"] == 1
    tensors["embeddings.token_type_embeddings.weight"].zero_()
    found = read_hugging_face(write("roberta", tensors), "roberta")
    assert found.settings["encoder_segments"] == 0 and SEGMENTS not in found.weights
    assert found.dropped == ["embeddings.token_type_embeddings.weight"]
    assert "embeddings.token_type_embeddings.weight" not in found.used


@pytest.mark.parametrize("name, config, message", [
    ("bert", {"model_type": "electra"}, "model_type 'electra', and this plugin has roberta, bert, albert, mpnet"),
    ("bert", {"model_type": None}, "it names no model_type"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type is 'relative_key'"),
    ("bert", {"is_decoder": True}, "is_decoder is True, and this plugin computes False alone"),
    ("bert", {"pruned_heads": {"0": [1]}}, "pruned_heads"),
    ("bert", {"quantization_config": {"bits": 4}}, "quantization_config"),
    ("bert", {"hidden_act": "quick_gelu"}, "hidden_act is 'quick_gelu'"),
    ("bert", {"num_hidden_layers": None}, "num_hidden_layers is None"),
    ("bert", {"hidden_size": "8"}, "hidden_size is '8'"),
    ("bert", {"num_attention_heads": 3}, "hidden_size 8 is not divisible by num_attention_heads 3"),
    ("bert", {"num_hidden_layers": True}, "num_hidden_layers is True"),
    ("roberta", {"pad_token_id": 0}, "pad_token_id is 0, and this plugin computes 1 alone"),
    ("roberta", {"type_vocab_size": 2}, "type_vocab_size is 2"),
    ("mpnet", {"pad_token_id": 0}, "pad_token_id is 0, and this plugin computes 1 alone"),
    ("mpnet", {"relative_attention_num_buckets": 16}, "relative_attention_num_buckets is 16, and this plugin computes "
                                                      "32"),
    ("mpnet", {"num_attention_heads": 4}, "encoder.relative_attention_bias.weight is 32 x 2 of float32, but .* 32 x 4"),
    ("roberta", {"max_position_embeddings": 2}, "max_position_embeddings is 2"),
    ("albert", {"embedding_size": None}, "embedding_size is None"),
    ("albert", {"num_hidden_groups": 9}, "num_hidden_groups 9 is more than num_hidden_layers 4"),
    ("albert", {"num_hidden_layers": 18, "num_hidden_groups": 14}, "18 layers in 14 groups: `transformers` rounds"),
    ("bert", {"intermediate_size": 13}, "encoder.layer.0.intermediate.dense.weight is 12 x 8 of float32, but .* 13 x "
                                        "8"),
    ("bert", {"num_hidden_layers": 5}, "has no tensor encoder.layer.4.attention.self.query.weight"),
    ("bert", {"num_hidden_layers": 3}, "has a tensor encoder.layer.3.attention"),
])
def test_what_it_cannot_represent_is_refused(name, config, message, write):
    with pytest.raises(UserError, match=message):
        read_hugging_face(write(name, their_tensors(name), **config), "the source")


def test_a_pooler_by_half_is_refused(write):
    tensors = their_tensors("bert")
    del tensors["pooler.dense.bias"]
    with pytest.raises(UserError, match="has no tensor pooler.dense.bias"):
        read_hugging_face(write("bert", tensors), "the source")


def test_whole_numbers_are_no_weights(write):
    tensors = their_tensors("bert") | {"embeddings.LayerNorm.bias": torch.zeros(8, dtype=torch.int8)}
    with pytest.raises(UserError, match="embeddings.LayerNorm.bias is 8 of int8"):
        read_hugging_face(write("bert", tensors), "the source")


@pytest.mark.parametrize("file, content, message", [
    ("config.json", b"{", "config.json: not JSON"),
    ("config.json", b"[]", "config.json: .* is no JSON object"),
    ("model.safetensors", b"broken", "model.safetensors: cannot be read as weights"),
    ("model.safetensors", None, "has neither model.safetensors nor pytorch_model.bin"),
    ("pytorch_model.bin", b"broken", "pytorch_model.bin: cannot be read as weights"),
    ("pytorch_model.bin.index.json", b"{}", "has no weight_map"),
    ("pytorch_model.bin.index.json", b'{"weight_map": {"a": "missing.bin"}}', "missing.bin: cannot be read as weights"),
])
def test_damaged_files_are_refused(file, content, message, write):
    folder = write("bert", their_tensors("bert") if file == "config.json" else None)
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_hugging_face(folder, "the source")


def test_code_in_a_pickle_is_not_run(write, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"a": Evil()}, write("bert") / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_hugging_face(tmp_path, "the source")
    assert not (tmp_path / "ran").exists()


HOSTILE = [
    ("num_hidden_layers", 10**7, "layers is 10000000, and should be"),
    ("hidden_size", 10**12, "hidden_size is 1000000000000, and should be"),
    ("vocab_size", 10**12, "vocab_size is 1000000000000, and should be"),
    ("intermediate_size", 2**40, "intermediate_size is 1099511627776, and should be"),
    ("max_position_embeddings", 10**12, "max_position_embeddings is 1000000000000, and should be"),
    ("num_attention_heads", 10**400, "num_attention_heads is 10+, and should be"),
    ("layer_norm_eps", 10**400, "layer_norm_eps is 10+, and should be"),
    ("hidden_act", ["gelu"], r"hidden_act is \['gelu'\], and should be"),
    ("model_type", {"bert": "bert"}, "model_type .*'bert'}\", and this plugin has"),
    ("type_vocab_size", -1, "type_vocab_size is -1, and should be"),
    ("hidden_dropout_prob", 1e300, r"hidden_dropout_prob is 1e\+300, and should be"),
]


@pytest.mark.parametrize("setting, value, message", HOSTILE, ids=[setting for setting, *_ in HOSTILE])
def test_a_size_out_of_range_is_refused_before_anything_is_built(setting, value, message, write, monkeypatch):
    folder = write("bert", their_tensors("bert"), **{setting: value})
    monkeypatch.setattr(hugging_face, "expected_tensors", pytest.fail)
    with pytest.raises(UserError, match=message):
        read_hugging_face(folder, "hostile")


def test_more_layers_than_the_file_has_tensors_are_not_built(write, monkeypatch):
    folder = write("bert", their_tensors("bert"), num_hidden_layers=255)
    monkeypatch.setattr(hugging_face, "expected_tensors", pytest.fail)
    with pytest.raises(UserError, match="tensors, too few for 255 layers"):
        read_hugging_face(folder, "hostile")


@pytest.mark.parametrize("place", ["/dev/zero", "../other/model.safetensors", "below/model.safetensors", "..", "", 7,
                                   None, ["a.safetensors"], "model.pt", "/etc/hostname", "link.safetensors"])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_an_index_names_files_of_its_folder_alone(place, suffix, write, tmp_path):
    folder, name = write("bert"), {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}[suffix]
    (folder / "link.safetensors").symlink_to("/dev/zero")
    (folder / (name + ".index.json")).write_text(json.dumps({"weight_map": {"embeddings": place}}))
    with pytest.raises(UserError, match="is no file of weights in its folder|there is no such file"):
        read_hugging_face(folder, "hostile")


@pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused(form, value, write):
    tensors = their_tensors("bert")
    tensors["encoder.layer.1.output.dense.bias"][3] = value
    folder = write("bert")
    (save_file if form == "model.safetensors" else torch.save)(tensors, folder / form)
    with pytest.raises(UserError, match="output.dense.bias has numbers that are NaN or infinite"):
        read_hugging_face(folder, "diverged")


def test_a_damaged_torch_file_is_refused(write):
    folder = write("bert")
    torch.save({name: tensor + 1 for name, tensor in their_tensors("bert").items()}, folder / "pytorch_model.bin")
    content = bytearray((folder / "pytorch_model.bin").read_bytes())
    content[len(content) // 2:len(content) // 2 + 64] = bytes(64)
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match="is damaged .wrong CRC"):
        read_hugging_face(folder, "damaged")


@pytest.mark.parametrize("name, alias", [("roberta", "lm_head.decoder.weight"), ("mpnet", "lm_head.decoder.weight"),
                                         ("bert", "cls.predictions.decoder.weight"),
                                         ("albert", "predictions.decoder.weight")])
@pytest.mark.parametrize("prefixed", [False, True])
def test_a_tied_embedding_is_read_under_its_alias(name, alias, prefixed, write):
    tensors = their_tensors(name)
    expected = read_hugging_face(write(name, tensors), "plain")
    stored = {f"{name}.{their}" if prefixed else their: tensor for their, tensor in tensors.items()}
    embedding = next(their for their in stored if their.endswith("word_embeddings.weight"))
    stored[alias] = stored.pop(embedding)
    found = read_hugging_face(write(name, stored), "tied")
    assert found.weights.keys() == expected.weights.keys() and not found.dropped and alias in found.used
    assert all(torch.equal(found.weights[ours], expected.weights[ours]) for ours in expected.weights)
    with pytest.raises(UserError, match="has no tensor embeddings.word_embeddings.weight"):
        read_hugging_face(write(name, stored, tie_word_embeddings=False), "untied")


def test_the_embedding_itself_comes_before_its_alias(write):
    tensors = their_tensors("bert")
    alias = {"cls.predictions.decoder.weight": torch.zeros_like(tensors["embeddings.word_embeddings.weight"])}
    prefixed = {f"bert.{their}": tensor for their, tensor in tensors.items()}
    found = read_hugging_face(write("bert", prefixed | alias), "both")
    assert torch.equal(found.weights[ENCODER + "embed_tokens.weight"], tensors["embeddings.word_embeddings.weight"])
    assert found.dropped == list(alias)
