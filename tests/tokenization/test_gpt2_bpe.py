"""Tests of RoBERTa's BPE, from fairseq's files and from the Hub's."""

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


def test_the_vocabulary_is_found_in_its_folder_or_above(small_vocabulary, tmp_path):
    shutil.copytree(small_vocabulary, tmp_path / "gpt2_bpe")
    for folder in (tmp_path, tmp_path / "gpt2_bpe"):
        assert Vocabulary(folder).record == Vocabulary(small_vocabulary).record


def put(folder, name: str, content: bytes | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("name, content, words", [
    ("encoder.json", None, "no vocabulary in .*preprocess.download --vocab"),
    ("dict.txt", None, "dict.txt is missing"),
    ("vocab.bpe", None, "vocab.bpe is missing"),
    ("encoder.json", b"{", "encoder.json: not JSON"),
    ("encoder.json", json.dumps({"a": 0}).encode(), "no byte-level BPE: .*out of vocabulary"),
    ("encoder.json", b"[]", "encoder.json: .* is no JSON object"),
    ("encoder.json", b'{"a": "0"}', "no byte-level BPE"),
    ("encoder.json", b'{"a": -1}', "encoder.json is damaged: the ids of its 1 pieces are not 0 to 0, each once"),
    ("encoder.json", b'{"a": 4000000000, "b": 0}', "encoder.json is damaged: the ids of its 2 pieces"),
    ("encoder.json", b'{"a": 0, "b": 0}', "encoder.json is damaged"),
    ("encoder.json", b'{"a": 0, "a": 1}', "the key 'a' occurs twice"),
    ("vocab.bpe", b"", "vocab.bpe is damaged: no merge makes 38 of the pieces"),
    ("vocab.bpe", b"#version\nQQ WW\n", "no byte-level BPE: .*QQ"),
    ("vocab.bpe", b"#version\na b c\n", "no byte-level BPE"),
    ("vocab.bpe", b"\xff\n", "vocab.bpe: byte 0xff at position 1 is no UTF-8"),
    ("dict.txt", b"", "dict.txt lacks 294 of the 294 pieces of encoder.json"),
    ("dict.txt", b"12 5\n", "dict.txt lacks 293 of the 294 pieces of encoder.json"),
    ("dict.txt", b"12 x\n", "dict.txt is no fairseq dictionary"),
    ("dict.txt", "12 ٣\n".encode(), "dict.txt is no fairseq dictionary"),
    ("dict.txt", b"<mask> 1\n", "dict.txt is no fairseq dictionary: line 1 has <mask> a second time"),
    ("dict.txt", b"12 1\n12 1\n", "dict.txt is no fairseq dictionary: line 2 has 12 a second time"),
    ("dict.txt", b"\xff 1\n", "dict.txt: byte 0xff at position 1 is no UTF-8"),
])
def test_a_bad_vocabulary_is_one_clear_line(small_vocabulary, tmp_path, name, content, words):
    folder = shutil.copytree(small_vocabulary, tmp_path / "vocabulary")
    put(folder, name, content)
    with pytest.raises(UserError, match=words):
        Vocabulary(folder)


@pytest.mark.parametrize("name", ["encoder.json", "vocab.bpe", "dict.txt"])
def test_a_vocabulary_is_refused_wherever_a_file_of_it_is_cut(small_vocabulary, tmp_path, name):
    """A cut lies at a line's end or within a line; only the whole file is read, with or without its last line end."""
    folder = shutil.copytree(small_vocabulary, tmp_path / "vocabulary")
    content = (small_vocabulary / name).read_bytes()
    for length in range(0, len(content) - 4, 7):
        (folder / name).write_bytes(content[:length])
        with pytest.raises(UserError):
            Vocabulary(folder)


def hub_files(folder, target, drop: str = "") -> None:
    """Writes vocab.json, without ``drop``, and merges.txt as the Hub has them: a piece's id is its dictionary entry."""
    piece_of = {str(number): piece for piece, number in json.loads((folder / "encoder.json").read_text()).items()}
    symbols = [line.split()[0] for line in (folder / "dict.txt").read_text().splitlines()]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(piece_of[symbol] for symbol in symbols), "<mask>"]
    target.mkdir()
    ids = {piece: native_id for native_id, piece in enumerate(pieces) if piece != drop}
    (target / "vocab.json").write_text(json.dumps(ids))
    shutil.copy(folder / "vocab.bpe", target / "merges.txt")


@pytest.fixture(scope="module")
def whole_vocabulary(tmp_path_factory):
    """Returns the folder of a small vocabulary whose dict.txt has every piece."""
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
