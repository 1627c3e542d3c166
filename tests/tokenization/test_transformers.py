"""Tests of ids, marks, segments and truncation against the tokenizers of transformers.

recipes/requirements-benchmark.txt has transformers. The default is a sample; ``-m benchmark`` takes everything.
"""

import shutil

import pytest

from fairseq_palbert.tokenization import Vocabulary

TOKENIZERS = {"bert": "BertTokenizer", "albert_cut": "AlbertTokenizer", "albert_hub": "AlbertTokenizer",
              "roberta_hub": "RobertaTokenizer", "mpnet": "MPNetTokenizer", "all-mpnet-base-v2": "AutoTokenizer"}
WITHOUT_SEGMENTS = ("roberta_hub", "mpnet", "all-mpnet-base-v2")
SAMPLE = [20, pytest.param(1, marks=pytest.mark.benchmark)]


@pytest.fixture(scope="module")
def theirs(real_folder):
    transformers = pytest.importorskip("transformers", reason="needs recipes/requirements-benchmark.txt")
    folder_of = {"albert_cut": "albert"}  # transformers makes that tokenizer from spiece.model itself
    return lambda kind: getattr(transformers, TOKENIZERS[kind]).from_pretrained(
        real_folder(folder_of.get(kind, kind)))


def differing(expected, found) -> list:
    """Returns (theirs, ours) of the examples that differ. The tokenizers of RoBERTa and MPNet give no segments."""
    segments = expected.get("token_type_ids", [None] * len(found))
    pairs = [((ids, kinds), (ours, marks if kinds is not None else None))
             for ids, kinds, (ours, marks) in zip(expected["input_ids"], segments, found, strict=True)]
    return [pair for pair in pairs if pair[0] != pair[1]]


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("step", SAMPLE)
def test_every_sentence(kind, step, theirs, real_sentences, real_folder, assembled):
    sentences = real_sentences[::step]
    expected = theirs(kind)(sentences, return_token_type_ids=None if kind in WITHOUT_SEGMENTS else True)
    assert not differing(expected, assembled(Vocabulary(real_folder(kind)), [(sentence,) for sentence in sentences],
                                             10_000))


@pytest.mark.parametrize("limit", [128, 512])
@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("step", SAMPLE)
def test_every_example_truncated(kind, step, limit, theirs, real_examples, real_folder, assembled):
    tokenizer, vocabulary = theirs(kind), Vocabulary(real_folder(kind))
    for examples in real_examples.values():
        sample = examples[::step]
        expected = tokenizer(*map(list, zip(*sample)), truncation="longest_first", max_length=limit,
                             return_token_type_ids=None if kind in WITHOUT_SEGMENTS else True)
        assert not differing(expected, assembled(vocabulary, sample, limit))


def test_mpnets_files_of_the_hub_are_its_vocabulary(real_folder, encoder_dir, tmp_path):
    """The vocabulary that tests make of BERT's equals the Hub's, read from tokenizer.json or from vocab.txt."""
    made, hub = Vocabulary(real_folder("mpnet")), encoder_dir("all-mpnet-base-v2")
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(hub / name, tmp_path)
    for vocabulary in (Vocabulary(hub), Vocabulary(tmp_path)):
        assert (vocabulary.record, len(vocabulary)) == (made.record, 30527)
        assert vocabulary.native_ids.tolist() == made.native_ids.tolist()


def test_robertas_files_of_the_hub_make_fairseqs_dictionary(real_folder, vocab_dir):
    hub, fairseqs = Vocabulary(real_folder("roberta_hub")), Vocabulary(vocab_dir("gpt2_bpe"))
    assert (hub.symbols, hub.record) == (fairseqs.symbols, fairseqs.record)
    assert len(hub) == 50265
