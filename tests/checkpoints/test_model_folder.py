"""Tests of model folders: every bit comes back, and a faulty folder is refused in one line."""

import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from fairseq_palbert.checkpoints.formats.model_folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    ModelCard,
    read_model,
    write_model,
)
from fairseq_palbert.errors import UserError
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape

CARD = ModelCard("albert", "MNLI", ["neutral", "entailment", "contradiction"], 9,
                 {"name": "wordpiece", "separators": 1, "sha256": "ab"}, "cd", [0.1, 0.2, 0.7], 42,
                 detokenized=True)
EMBEDDED = EncoderShape(
    vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=3, hidden=8, ffn_hidden=12, heads=2,
    activation="gelu_tanh", dropout=0.1, embedding=5, groups=1, inner_layers=2, segments=2, first_position=2,
    norm_eps=1e-12,
)


@pytest.fixture
def saved(tmp_path, make_small_network):
    """Returns (folder, network) of a saved model with an RNN lambda module, a pooler for each layer, and EMBEDDED."""
    network = make_small_network(HeadsShape(outputs=3, lambda_module="rnn", per_layer_pooler=True), EMBEDDED)
    write_model(tmp_path, network, CARD)
    return tmp_path, network


def test_every_configuration_comes_back_with_every_bit(tmp_path, configurations, make_small_network, tokens):
    for heads in configurations[::11]:
        network = make_small_network(heads)
        write_model(tmp_path, network, CARD)
        read, card = read_model(tmp_path)
        assert card == CARD and read.encoder.shape == network.encoder.shape and read.heads_shape == heads
        assert not read.training and all(parameter.requires_grad for parameter in read.parameters())
        ours, theirs = network.state_dict(), read.state_dict()
        assert list(ours) == list(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)
        before, after = network(tokens), read(tokens)
        assert torch.equal(before.logits, after.logits) and torch.equal(before.halting_logits, after.halting_logits)


def test_a_shape_with_every_field_comes_back(saved, tokens):
    folder, network = saved
    read, _ = read_model(folder)
    assert read.encoder.shape == EMBEDDED
    assert torch.equal(read(tokens).logits, network(tokens).logits)


def test_other_precisions_and_special_values_keep_their_bits(tmp_path, make_small_network):
    network = make_small_network(HeadsShape(outputs=3)).bfloat16()
    network.encoder.layers[0].fc1.bias.data[:3] = torch.tensor([3e38, -0.0, 1e-40])
    write_model(tmp_path, network, CARD)
    read = read_model(tmp_path)[0].state_dict()
    for name, tensor in network.state_dict().items():
        assert read[name].dtype == torch.bfloat16 and torch.equal(read[name].view(torch.int16),
                                                                  tensor.view(torch.int16))


def test_a_model_without_lambda_module_prior_labels_and_tokenizer(tmp_path, make_small_network):
    card = replace(CARD, prior=None, glue_task="STS-B", labels=[], tokenizer=None, dictionary=None)
    write_model(tmp_path, make_small_network(HeadsShape(outputs=1, lambda_module="none")), card)
    network, read = read_model(tmp_path)
    assert read == card and not network.halts


def test_the_files_are_data_of_two_public_formats(saved):
    folder, network = saved
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]
    assert load_file(folder / WEIGHTS_FILE).keys() == network.state_dict().keys()
    config = json.loads((folder / CONFIG_FILE).read_text())
    assert (config["format_version"], config["family"], config["heads"]["lambda_module"]) == (5, "albert", "rnn")


@pytest.mark.parametrize("version", [2, 3])
def test_a_folder_of_an_earlier_version_is_the_same_model(saved, version):
    folder, network = saved

    def as_then(values):
        values.update(format_version=version)
        del values["detokenized"]
        if version == 2:
            del values["encoder"]["relative_buckets"]
            for name in ("pooling", "lambda_width", "lambda_reads"):
                del values["heads"][name]

    config(as_then)(folder)
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)  # without the digest
    then, card = read_model(folder)
    assert (card, then.encoder.shape, then.heads_shape) == (
        replace(CARD, detokenized=None), network.encoder.shape, network.heads_shape)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in then.state_dict().items())


def config(change):
    """Returns a function that applies ``change`` to the configuration of a folder."""

    def apply(folder):
        values = json.loads((folder / CONFIG_FILE).read_text())
        change(values)
        (folder / CONFIG_FILE).write_text(json.dumps(values))

    return apply


def tensors(change):
    """Returns a function that applies ``change`` to the tensors of a folder."""

    def apply(folder):
        with safe_open(folder / WEIGHTS_FILE, "pt") as file:
            metadata = file.metadata()
        values = load_file(folder / WEIGHTS_FILE)
        change(values)
        save_file(values, folder / WEIGHTS_FILE, metadata)

    return apply


@pytest.mark.parametrize("message, change", [
    ("no exported model", lambda folder: (folder / CONFIG_FILE).unlink()),
    ("not JSON", lambda folder: (folder / CONFIG_FILE).write_text("{")),
    ("not of an exported model", lambda folder: (folder / CONFIG_FILE).write_text('{"model_type": "bert"}')),
    ("[] is no JSON object", lambda folder: (folder / CONFIG_FILE).write_text("[]")),
    ("format version 6, and this code reads versions 2 to 5", config(lambda c: c.update(format_version=6))),
    ("format version 1, and", config(lambda c: c.update(format_version=1))),
    ("format version [], and", config(lambda c: c.update(format_version=[]))),
    ("has no encoder.segments", config(lambda c: c.update(format_version=2) or c["encoder"].pop("segments"))),
    ("has no encoder.relative_buckets", config(lambda c: c["encoder"].pop("relative_buckets"))),
    ("has no heads.pooling", config(lambda c: c["heads"].pop("pooling"))),
    ("has no prior", config(lambda c: c.pop("prior"))),
    ("heads is None, and should be an object", config(lambda c: c.pop("heads"))),
    ("encoder is [], and should be an object", config(lambda c: c.update(encoder=[]))),
    ("encoder.rotary, which this code does not know", config(lambda c: c["encoder"].update(rotary=1))),
    ("max_positions 10 is more than the encoder has, 9", config(lambda c: c.update(max_positions=10))),
    ("heads.outputs 3 does not fit the task's 2", config(lambda c: c.update(glue_task="SST-2", labels=["0", "1"]))),
    ("labels 0, 1, 0 are not those of MNLI", config(lambda c: c.update(labels=["0", "1", "0"]))),
    ("prior of 1 layers", config(lambda c: c.update(prior=[1.0]))),
    ("hidden is 8, and should be divisible by heads 3", config(lambda c: c["encoder"].update(heads=3))),
    ("groups is 4, and should be at most layers 3", config(lambda c: c["encoder"].update(groups=4))),
    ("separator_id 17 should be less than vocabulary 17", config(lambda c: c["encoder"].update(separator_id=17))),
    ("relative_buckets 7", config(lambda c: c["encoder"].update(relative_buckets=7))),
    ("not JSON (nested more", lambda folder: (folder / CONFIG_FILE).write_text('{"a":' * 10**5)),
    ("has more than 16,777,216 bytes", lambda folder: os.truncate(folder / CONFIG_FILE, 2**40)),
    ("has no tensor pooler.copies.0.weight, which config.json asks for",
     tensors(lambda t: t.pop("pooler.copies.0.weight"))),
    ("has a tensor extra", tensors(lambda t: t.update(extra=torch.zeros(1)))),
    ("pooler.copies.0.bias is I64 8", tensors(lambda t: t.update({"pooler.copies.0.bias": torch.zeros(8).long()}))),
    ("pooler.copies.0.bias has numbers that are NaN",
     tensors(lambda t: t.update({"pooler.copies.0.bias": torch.full([8], torch.nan)}))),
    ("No such file", lambda folder: (folder / WEIGHTS_FILE).unlink()),
    ("truncated, or not safetensors", lambda folder: os.truncate(folder / WEIGHTS_FILE, 5000)),
    ("truncated, or not safetensors", lambda folder: (folder / WEIGHTS_FILE).write_bytes(b"")),
    ("is no regular file", lambda folder: (folder / WEIGHTS_FILE).unlink() or os.mkfifo(folder / WEIGHTS_FILE)),
])
def test_what_is_wrong_is_told_in_a_line(saved, message, change):
    folder, _ = saved
    change(folder)
    with pytest.raises(UserError) as error:
        read_model(folder)
    assert message in str(error.value) and str(folder) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change", ["zeros", "flipped", "moved"])
def test_damaged_numbers_are_noticed(saved, change):
    folder, network = saved
    path = folder / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    if change == "zeros":
        content[-400:-300] = bytes(100)
    elif change == "flipped":
        content[-390] ^= 1
    else:  # two blocks of 100 bytes change places
        content[-400:-300], content[-300:-200] = content[-300:-200], content[-400:-300]
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{WEIGHTS_FILE}: has other numbers than it was written with"):
        read_model(folder)


def fields(values, prefix=()):
    """Yields the path of every field of the configuration, also of nested ones, such as ("encoder", "heads")."""
    for name, value in values.items():
        yield (*prefix, name)
        if isinstance(value, dict):
            yield from fields(value, (*prefix, name))


WRONG = [None, True, -1, -5, 0, 1, 4, 10**6, 10**8, 10**12, 10**400, 1e-300, 0.5, 1e300, float("nan"), float("inf"), "",
         "a\tb", "x" * 10**6, [], {}, [["a"]], ["a", "a", "a"], ["a", "b", "c\td"], [0.5, 0.25, 0.25]]


def test_no_altered_value_of_any_field_is_accepted(saved):
    """Each field gets each of 25 values; those that fit all tensors are refused too."""
    folder, _ = saved
    written = (folder / CONFIG_FILE).read_text()
    for path in fields(json.loads(written)):
        for value in WRONG:
            values = json.loads(written)
            place = values
            for name in path[:-1]:
                place = place[name]
            if type(place[path[-1]]) is type(value) and place[path[-1]] == value:
                continue
            place[path[-1]] = value
            (folder / CONFIG_FILE).write_text(json.dumps(values))
            with pytest.raises(UserError) as error:
                read_model(folder)
            assert CONFIG_FILE in str(error.value) and len(str(error.value)) <= 1100


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("part, name, value, message", [
    ("encoder", "heads", 16, "divisible by heads 16"), ("encoder", "norm_eps", float("nan"), "NaN is no JSON number"),
    ("encoder", "norm_eps", -1, "norm_eps is -1, and should be a number from 0 to 1"),
    ("encoder", "max_positions", 0, "max_positions is 0"), ("encoder", "max_positions", -5, "max_positions is -5"),
    ("encoder", "max_positions", 1, "max_positions 9 is more than the encoder has, 1"),
    ("encoder", "layers", 10**6, "layers is 1000000, and should be an integer from 1 to 256"),
    ("encoder", "groups", 3, "has 2 Transformer layers, and config.json asks for 6"),
    ("encoder", "hidden", 10**12, "hidden is 1000000000000"),
    ("encoder", "vocabulary", 18, "embed_tokens.weight is F32 17 x 5, and config.json asks for 18 x 5"),
    ("encoder", "layers", "3", "encoder.layers is '3', and should be an integer"),
    ("encoder", "activation", "sine", "encoder.activation is 'sine', and should be one of gelu, "),
    ("heads", "pooling", "max", "heads.pooling is 'max', and should be one of first, mean"),
    ("heads", "lambda_depth", 10**8, "lambda_depth is 100000000"), ("heads", "outputs", True, "outputs is True"),
    (None, "labels", ["a", "a", "b"], "labels a, a, b are not"),
    (None, "labels", [["a"], "b", "c"], "labels is [['a']"),
    (None, "labels", ["a\tb", "b", "c"], "labels is ['a\\tb'"), (None, "tokenizer", {}, "tokenizer is {}"),
    (None, "max_positions", 1, "max_positions is 1"), (None, "prior", [1, 1, 1], "prior has the sum 3"),
])
def test_without_a_digest_as_in_earlier_versions_types_and_ranges_are_checked(saved, version, part, name, value,
                                                                              message):
    folder, _ = saved
    save_file(load_file(folder / WEIGHTS_FILE), folder / WEIGHTS_FILE)

    def change(values):
        values["format_version"] = version
        (values[part] if part else values)[name] = value

    config(change)(folder)
    with pytest.raises(UserError) as error:
        read_model(folder)
    assert message in str(error.value) and CONFIG_FILE in str(error.value)
