import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.glue.tasks import glue_task
from fairseq_palbert.tokenization import Vocabulary
from preprocess.raw import read_examples

REAL_TASKS = ("CoLA", "SST-2", "MRPC", "STS-B", "RTE")
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


def test_every_sentence_of_the_real_tasks_gets_the_ids_of_fairseq(glue_dir, vocab_dir, fairseq_ids):
    """All splits of the five tasks, test included: about 115,000 different sentences."""
    sentences = set()
    for name in REAL_TASKS:
        task, raw = glue_task(name), glue_dir(name).parent
        for split in task.splits:
            examples = list(read_examples(task, split, raw))
            assert len(examples) == split.rows
            sentences.update(sentence for example in examples for sentence in example.sentences)
    sentences = sorted(sentences)
    reference = fairseq_ids(vocab_dir("gpt2_bpe"))
    encoded = Vocabulary(vocab_dir("gpt2_bpe")).encode(sentences)
    pairs = zip(sentences, encoded, strict=True)
    assert not [sentence for sentence, ids in pairs if ids.tolist() != reference(sentence)]


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
