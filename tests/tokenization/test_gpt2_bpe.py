"""RoBERTa's BPE from fairseq's files gives fairseq's ids; from the Hub's, the same dictionary."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary
from preprocess.train_bpe import train_bpe

UNK = 3


@pytest.fixture(scope="module")
def vocabulary(small_vocabulary):
    return Vocabulary(small_vocabulary)


@pytest.fixture(scope="module")
def reference(small_vocabulary, fairseq_ids):
    return fairseq_ids(small_vocabulary)


@given(st.lists(st.text(), max_size=4))
def test_any_text_gets_the_ids_of_fairseq(vocabulary, reference, sentences):
    assert [ids.tolist() for ids in vocabulary.encode(sentences)] == [reference(sentence) for sentence in sentences]


@pytest.mark.parametrize("sentence", [
    "", " ", "a  b\t c", "isn't I'LL", "\x1c a\x85\u3000b \xa0", "345 ½ Ⅷ ٣", "naïve 😀 語", "<mask> </s>",
])
def test_awkward_text_gets_the_ids_of_fairseq(vocabulary, reference, sentence):
    assert vocabulary.encode([sentence])[0].tolist() == reference(sentence)


def test_a_piece_that_the_dictionary_lacks_is_unk(vocabulary, reference):
    ids = vocabulary.encode(["a zebra sat on the cat's mat"])[0].tolist()
    assert UNK in ids and ids == reference("a zebra sat on the cat's mat")


def test_the_vocabulary_is_found_in_its_folder_or_above(small_vocabulary, tmp_path):
    shutil.copytree(small_vocabulary, tmp_path / "gpt2_bpe")
    for folder in (tmp_path, tmp_path / "gpt2_bpe"):
        assert Vocabulary(folder).record == Vocabulary(small_vocabulary).record


def replace(folder, name: str, content: bytes | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("name, content, words", [
    ("encoder.json", None, "no vocabulary in .*preprocess.download --vocab"),
    ("dict.txt", None, "dict.txt is missing"),
    ("vocab.bpe", None, "vocab.bpe is missing"),
    ("encoder.json", b"{", "encoder.json and vocab.bpe are no byte-level BPE"),
    ("encoder.json", json.dumps({"a": 0}).encode(), "no piece for 255 of the 256 bytes"),
    ("encoder.json", b"[]", "no byte-level BPE"),
    ("vocab.bpe", b"#version\nQQ WW\n", "no byte-level BPE: .*QQ"),
    ("vocab.bpe", b"#version\na b c\n", "no byte-level BPE"),
    ("vocab.bpe", b"\xff\n", "no byte-level BPE"),
    ("dict.txt", b"", "dict.txt names no piece of encoder.json"),
    ("dict.txt", b"the 5\n", "dict.txt names no piece of encoder.json"),
    ("dict.txt", b"12 x\n", "dict.txt is no fairseq dictionary"),
    ("dict.txt", b"12 1\n12 1\n", "dict.txt is no fairseq dictionary: line 2 has 12 a second time"),
    ("dict.txt", b"\xff 1\n", "dict.txt is no fairseq dictionary: it is not UTF-8"),
])
def test_a_bad_vocabulary_is_one_clear_line(small_vocabulary, tmp_path, name, content, words):
    folder = shutil.copytree(small_vocabulary, tmp_path / "vocabulary")
    replace(folder, name, content)
    with pytest.raises(UserError, match=words):
        Vocabulary(folder)


def hub_files(folder, target, drop: str = "") -> None:
    """vocab.json and merges.txt as the Hub has them: a piece's id is its entry in the dictionary."""
    piece_of = {str(number): piece for piece, number in json.loads((folder / "encoder.json").read_text()).items()}
    symbols = [line.split()[0] for line in (folder / "dict.txt").read_text().splitlines()]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(piece_of[symbol] for symbol in symbols), "<mask>"]
    target.mkdir()
    ids = {piece: native_id for native_id, piece in enumerate(pieces) if piece != drop}
    (target / "vocab.json").write_text(json.dumps(ids))
    shutil.copy(folder / "vocab.bpe", target / "merges.txt")


@pytest.fixture(scope="module")
def whole_vocabulary(tmp_path_factory):
    """A small one whose dict.txt has every piece."""
    folder = tmp_path_factory.mktemp("whole")
    train_bpe(["the cat sat on the mat", "it isn't the 12 or 345 dogs"] * 3, folder, 300)
    return folder


def test_the_hubs_files_make_fairseqs_dictionary_and_ids(whole_vocabulary, tmp_path):
    hub_files(whole_vocabulary, tmp_path / "hub")
    ours, hub = Vocabulary(whole_vocabulary), Vocabulary(tmp_path / "hub")
    assert (ours.symbols, ours.pieces, ours.record) == (hub.symbols, hub.pieces, hub.record)
    assert ours.native_ids.tolist() == hub.native_ids.tolist() == list(range(len(ours)))
    sentences = ["the cat isn't 345 dogs", "naïve 😀 <mask>"]
    assert [ids.tolist() for ids in ours.encode(sentences)] == [ids.tolist() for ids in hub.encode(sentences)]


@pytest.mark.parametrize("piece", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
def test_the_hubs_files_of_another_model_are_refused(whole_vocabulary, tmp_path, piece):
    hub_files(whole_vocabulary, tmp_path / "hub", drop=piece)
    with pytest.raises(UserError, match="vocab.json is not RoBERTa's: its pieces must begin with <s>"):
        Vocabulary(tmp_path / "hub")


def test_pieces_that_the_dictionary_lacks_cannot_be_saved(small_vocabulary, tmp_path):
    with pytest.raises(UserError, match="dict.txt lacks pieces of encoder.json"):
        Vocabulary(small_vocabulary).save(tmp_path)
