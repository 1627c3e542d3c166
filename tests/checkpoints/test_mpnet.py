"""Tests of MPNet against transformers: odd sizes, long sentences, and real weights.

Some sentences are longer than the largest relative distance. Real weights are converted and exported again.
"""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.utils.rnn import pad_sequence

from fairseq_palbert.checkpoints.convert import convert
from fairseq_palbert.checkpoints.export import export_hugging_face
from fairseq_palbert.families import FAMILIES
from fairseq_palbert.modules.batch import PackedBatch, PaddedBatch
from fairseq_palbert.tokenization import Vocabulary

TOLERANCE = 1e-5
LENGTHS = (5, 1, 130, 5, 2, 47, 220)
LONG = (
    "In its first hour the film drags, but what follows is an unsettling portrait of a man who has lost all that he "
    "had, told with patience and without a trace of sentiment. The camera keeps its distance; the score, when there is "
    "one, is a single cello. By the time his daughter comes home we know every crack in the kitchen wall, and why he "
    "will not have it painted. Not everyone will sit through it, and those who do may wish for a kinder ending, yet "
    "there is hardly a scene that one would cut. It is the second picture of a director who was, until last year, a "
    "doctor in a small town.")
TEXTS = ("the naïve cat's ``hat''", "東京 and 12.5 dogs", "A [cat]", "")


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="needs recipes/requirements-benchmark.txt")


@torch.no_grad()
def largest_difference(network, theirs, native_ids, sentences, batch) -> float:
    """Returns the largest difference over the embeddings, every layer and the pooled vectors. transformers gets each
    sentence alone."""
    layers = [network.embed(batch)]
    for n in range(1, network.depth + 1):
        layers.append(network.step(n, layers[-1], batch))
    found = torch.stack(layers).split(list(map(len, sentences)), dim=1)
    pooled = network.pool(network.depth, layers[-1][None, batch.first])[0]
    differences = []
    for ours, vector, sentence in zip(found, pooled, sentences, strict=True):
        expected = theirs(native_ids[sentence][None], output_hidden_states=True)
        differences += [ours - torch.cat(expected.hidden_states), vector - expected.pooler_output[0]]
    return max(difference.abs().max().item() for difference in differences)


def largest_of_any_batch(network, theirs, native_ids, sentences) -> float:
    """Returns the largest difference over a packed batch, a padded batch, and batches of one sentence."""
    batches = [(sentences, PackedBatch.of(sentences)), (sentences, PaddedBatch(pad_sequence(sentences, True, 1), 1))]
    batches += [([sentence], PackedBatch.of([sentence])) for sentence in sentences]
    return max(largest_difference(network, theirs, native_ids, some, batch) for some, batch in batches)


def test_every_layer_agrees_at_any_length(transformers, write_vocabulary, network_of, tmp_path):
    entries = len(write_vocabulary("mpnet", tmp_path / "source"))
    torch.manual_seed(2)
    theirs = transformers.MPNetModel(transformers.MPNetConfig(
        vocab_size=entries, num_hidden_layers=3, hidden_size=20, intermediate_size=28, num_attention_heads=4,
        max_position_embeddings=302, layer_norm_eps=1e-5)).eval()
    for parameter in theirs.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    theirs.encoder.relative_attention_bias.weight.data *= 5
    theirs.save_pretrained(tmp_path / "source")
    conversion = convert(tmp_path / "source", tmp_path / "out")
    assert conversion["arch"] == "palbert_mpnet" and not conversion["tensors"]["dropped"]
    network, native_ids = network_of(tmp_path / "out"), torch.from_numpy(Vocabulary(tmp_path / "out").native_ids)
    sentences = [torch.randint(3, entries, (length,)) for length in LENGTHS]
    assert largest_of_any_batch(network, theirs, native_ids, sentences) <= TOLERANCE
    # negative control: the buckets of the two directions change places
    network.encoder.relative_bias.weight.data = network.encoder.relative_bias.weight.data.roll(16, 0)
    assert largest_difference(network, theirs, native_ids, sentences, PackedBatch.of(sentences)) > 100 * TOLERANCE


@pytest.fixture(scope="module")
def converted(encoder_dir, tmp_path_factory):
    """Returns (the Hub's folder of all-mpnet-base-v2, the converted folder, what ``convert`` returned)."""
    source, out = encoder_dir("all-mpnet-base-v2"), tmp_path_factory.mktemp("mpnet") / "out"
    return source, out, convert(source, out)


@pytest.mark.slow
def test_real_weights_agree_at_every_layer(transformers, converted, network_of):
    source, out, conversion = converted
    assert (conversion["arch"], conversion["flags"]) == ("palbert_mpnet_base", [])
    assert not conversion["tensors"]["initialised"]
    vocabulary = Vocabulary(out)
    native_ids = torch.from_numpy(vocabulary.native_ids)
    ids = [torch.from_numpy(sentence) for sentence in vocabulary.encode([LONG, *TEXTS])]
    begin, end = torch.tensor([0]), torch.tensor([2])
    sentences = [torch.cat([begin, *some]) for some in ([ids[0]], [ids[1]], [ids[2], end, ids[3]], [])]
    assert len(sentences[0]) > 128
    network, theirs = network_of(out), transformers.MPNetModel.from_pretrained(source).eval()
    assert largest_of_any_batch(network, theirs, native_ids, sentences) <= TOLERANCE
    # in float64, because hidden states reach 10, where float32 rounds by 1e-6
    assert largest_of_any_batch(network.double(), theirs.double(), native_ids, sentences) <= 1e-12


@pytest.mark.slow
def test_real_weights_come_back_with_every_bit_and_their_tokenizer(transformers, converted, tmp_path):
    source, out, conversion = converted
    export_hugging_face(out / "model.pt", source, tmp_path / "theirs")
    given, written = load_file(source / "model.safetensors"), load_file(tmp_path / "theirs" / "model.safetensors")
    assert given.keys() - written.keys() == set(conversion["tensors"]["dropped"]) and written.keys() <= given.keys()
    assert all(torch.equal(tensor, given[name]) for name, tensor in written.items())
    _, loading = transformers.AutoModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert not any(loading.values())
    theirs, ours = (transformers.AutoTokenizer.from_pretrained(folder) for folder in (source, tmp_path / "theirs"))
    for texts in (TEXTS, (list(TEXTS), list(reversed(TEXTS)))):
        arguments = texts if isinstance(texts[0], list) else (list(texts),)
        assert ours(*arguments)["input_ids"] == theirs(*arguments)["input_ids"]
    said, before = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "theirs", source))
    for name in ("hidden_size", "layer_norm_eps", "max_position_embeddings", "relative_attention_num_buckets",
                 "vocab_size",
                 "pad_token_id", "hidden_act", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
        assert said[name] == before[name], name
    assert said["architectures"] == [FAMILIES["mpnet"].architecture] and "type_vocab_size" not in said
