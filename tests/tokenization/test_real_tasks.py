"""Tests of real sentences in all families, against independent tokenizers.

test_transformers.py compares with transformers, whose ids decide, since the default environment lacks it.
"""

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from fairseq_palbert.tokenization import Vocabulary

from .conftest import USER_DEFINED

PAIRS = ("RTE", "MRPC", "STS-B")


def differing(vocabulary: Vocabulary, sentences: list[str], reference) -> list[tuple[str, list[int], list[int]]]:
    encoded = [vocabulary.native_ids[ids].tolist() for ids in vocabulary.encode(sentences)]
    assert {ids[-1] for ids in encoded} == {vocabulary.native_ids[2]}
    pairs = [(sentence, ids[:-1], reference(sentence)) for sentence, ids in zip(sentences, encoded, strict=True)]
    return [pair for pair in pairs if pair[1] != pair[2]]


@pytest.mark.parametrize("kind, step", [("mpnet", 1), ("bert", 4), pytest.param("bert", 1, marks=pytest.mark.slow)])
def test_wordpiece_sentences(kind, step, real_sentences, real_folder, wordpiece_reference):
    """There are 116,872 different sentences, test splits included."""
    assert len(real_sentences) == 116872
    folder = real_folder(kind)
    assert not differing(Vocabulary(folder), real_sentences[::step], wordpiece_reference(folder / "vocab.txt"))


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_robertas_sentences(step, real_sentences, vocab_dir, fairseq_ids):
    folder = vocab_dir("gpt2_bpe")
    reference = fairseq_ids(folder)
    assert not differing(Vocabulary(folder), real_sentences[::step], lambda sentence: reference(sentence)[:-1])


@pytest.mark.parametrize("kind, cut", [("albert", ""), ("albert_cut", USER_DEFINED)])
@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_alberts_sentences(kind, cut, step, real_sentences, real_folder, vocab_dir, sentencepiece_reference):
    """Two sentences have a word with two best segmentations: 1,666 is ▁1, 6 66 or ▁1, 66 6.

    The two libraries differ there, and transformers takes ours.
    """
    reference = sentencepiece_reference(vocab_dir("albert") / "spiece.model", cut)
    tied = [sentence for sentence in real_sentences if "1,666.58" in sentence]
    sample = sorted({*real_sentences[::step], *tied})
    found = differing(Vocabulary(real_folder(kind)), sample, reference)
    assert [sentence for sentence, *_ in found] == tied and len(tied) == 2
    assert all(sorted(ours) == sorted(theirs) for _, ours, theirs in found)


@pytest.mark.parametrize("kind", ["bert", "albert", "gpt2_bpe", "mpnet"])
@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_pairs_with_marks_segments_and_truncation(kind, step, real_examples, vocab_dir, real_folder, assembled,
                                                  tmp_path):
    """Compare every eighth pair and the long pairs with the tokenizers library's own template and truncation."""
    vocabulary = Vocabulary(vocab_dir(kind) if kind == "gpt2_bpe" else real_folder(kind))
    vocabulary.save(tmp_path)
    library = marking(vocabulary, Tokenizer.from_file(str(tmp_path / "tokenizer.json")))
    everyone = [pair for name in PAIRS for pair in real_examples[name]]
    pairs = sorted({*everyone[::step], *(pair for pair in everyone if sum(map(len, pair)) > 450)})
    cut = {}
    for limit in (128, 512):
        library.enable_truncation(limit, strategy="longest_first")
        encodings = library.encode_batch(pairs)
        cut[limit] = sum(bool(encoding.overflowing) for encoding in encodings)
        expected = [(encoding.ids, encoding.type_ids) for encoding in encodings]
        assert assembled(vocabulary, pairs, limit) == expected
    assert cut[128] > 300


def marking(vocabulary: Vocabulary, library: Tokenizer) -> Tokenizer:
    begin, end = vocabulary.pieces[0], vocabulary.pieces[2]
    between = " ".join([f"{end}:0", *[f"{end}:1"] * (vocabulary.separators - 1)])
    library.post_processor = TemplateProcessing(
        single=f"{begin} $A {end}", pair=f"{begin}:0 $A:0 {between} $B:1 {end}:1",
        special_tokens=[(piece, int(vocabulary.native_ids[entry])) for entry, piece in ((0, begin), (2, end))])
    return library
