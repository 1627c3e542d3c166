"""Tests of Cues, the generated task whose sentences have known difficulty."""

import random
import re
from collections import Counter, defaultdict

import pytest

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from preprocess import cues, train_bpe

TASK = packaged_task("Cues")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cues")
    cues.write_task(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    """Returns the rows of each split as dictionaries."""
    return {split.name: read(folder / split.source.file) for split in TASK.splits}


def read(path):
    header, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def taken_apart(sentence):
    """Returns [(modifier, adjective, noun)] of the sentence's phrases, without the generator's code."""
    assert sentence.endswith(" .")
    return [tuple(phrase.split()) for phrase in re.split(r" and | , ", sentence[:-2])]


def opinions(phrases):
    """Returns [(value, negated)] of the phrases that judge; value is +1 for praise and -1 for blame, after negation."""
    said = []
    for modifier, adjective, _ in phrases:
        negated = modifier in cues.NEGATIONS
        value = (adjective in cues.PRAISE) - (adjective in cues.BLAME)
        if value:
            said.append((-value if negated else value, negated))
    return said


def test_rows_are_those_of_the_table(rows):
    assert {name: len(split) for name, split in rows.items()} == {split.name: split.rows for split in TASK.splits}


def test_layouts_are_glue_s(rows):
    assert set(rows["train"][0]) == {"sentence", "label", "degree"}
    assert set(rows["test"][0]) == {"index", "sentence", "degree"}
    assert [row["index"] for row in rows["test"]] == [str(i) for i in range(len(rows["test"]))]


def test_no_sentence_occurs_twice_in_any_split(rows):
    sentences = [row["sentence"] for split in rows.values() for row in split]
    assert len(set(sentences)) == len(sentences)


def test_labels_follow_from_the_opinions(rows):
    for row in rows["train"] + rows["valid"]:
        praises = sum(value for value, _ in opinions(taken_apart(row["sentence"]))) > 0
        assert int(row["label"]) == praises, row


def test_degrees_are_what_they_say(rows):
    for row in rows["valid"]:
        phrases = taken_apart(row["sentence"])
        negated = [negated for _, negated in opinions(phrases)]
        negations = sum(modifier in cues.NEGATIONS for modifier, _, _ in phrases)
        if row["degree"] == "1":
            assert (negated, negations) == ([False], 0), row
        elif row["degree"] == "2":
            assert (negated, negations) == ([True], 1), row
        else:
            assert len(negated) == 3 and sum(negated) == 1, row


def test_degrees_and_labels_have_their_shares(rows):
    split = rows["train"]
    shares = Counter(cues.SHARES)
    expected = {(str(degree), label): len(split) * shares[degree] / len(cues.SHARES) / 2
                for degree in shares for label in "01"}
    counts = Counter((row["degree"], row["label"]) for row in split)
    assert counts.keys() == expected.keys()
    assert all(abs(counts[key] - expected[key]) <= 1 for key in counts)


def test_length_tells_neither_label_nor_degree(rows):
    by_length = defaultdict(list)
    for row in rows["train"]:
        by_length[len(row["sentence"].split())].append(row)
    assert sorted(by_length) == [4 * count for count in cues.PHRASES]
    shares = Counter(cues.SHARES)
    for same_length in by_length.values():
        for degree in shares:
            part = [row["label"] for row in same_length if row["degree"] == str(degree)]
            assert len(part) / len(same_length) == pytest.approx(shares[degree] / len(cues.SHARES), abs=0.02)
            assert part.count("1") / len(part) == pytest.approx(0.5, abs=0.03)


def test_order_is_random(rows):
    labels = "".join(row["label"] for row in rows["train"])
    assert len(re.findall("(?=01|10)", labels)) / len(labels) == pytest.approx(0.5, abs=0.02)


def test_a_seed_gives_the_same_bytes_and_another_other_ones(folder, tmp_path):
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        cues.write_task(tmp_path / str(seed), seed)
    for split in TASK.splits:
        assert (tmp_path / "1" / split.source.file).read_bytes() == (folder / split.source.file).read_bytes()
        assert (tmp_path / "2" / split.source.file).read_bytes() != (folder / split.source.file).read_bytes()


def test_sentences_seen_before_are_not_drawn():
    seen = {example.sentence for example in cues.examples(200, random.Random(1), set())}
    again = cues.examples(200, random.Random(1), set(seen))
    assert not seen & {example.sentence for example in again}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="below/raw/Cues: cannot be written .Not a directory"):
        cues.main(["--out", str(tmp_path / "file" / "below")])


class TestVocabulary:
    @pytest.fixture(scope="class")
    def vocabulary(self, folder, tmp_path_factory):
        out = tmp_path_factory.mktemp("vocabulary")
        train_bpe.train_bpe([row["sentence"] for row in read(folder / "dev.tsv")], out, 300)
        return out

    def test_same_ids_as_fairseq_s_own_bpe(self, rows, vocabulary):
        from fairseq.data import Dictionary
        from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

        from fairseq_palbert.tokenization import Vocabulary

        gpt2 = get_encoder(str(vocabulary / "encoder.json"), str(vocabulary / "vocab.bpe"))
        dictionary = Dictionary.load(str(vocabulary / "dict.txt"))
        sentences = [row["sentence"] for row in rows["test"][:50]] + ["unseen wörds, too: 日本"]
        for sentence, ids in zip(sentences, Vocabulary(vocabulary).encode(sentences), strict=True):
            line = " ".join(map(str, gpt2.encode(sentence)))
            assert ids.tolist() == dictionary.encode_line(line, add_if_not_exist=False).tolist()
            assert dictionary.unk() not in ids

    def test_the_dictionary_counts_every_id_most_frequent_first(self, vocabulary):
        lines = [line.split() for line in (vocabulary / "dict.txt").read_text().splitlines()]
        assert sorted(int(i) for i, _ in lines) == list(range(300))
        counts = [int(count) for _, count in lines]
        assert counts == sorted(counts, reverse=True) and counts[0] > 0

    def test_the_same_text_gives_the_same_files(self, folder, vocabulary, tmp_path):
        train_bpe.train_bpe([row["sentence"] for row in read(folder / "dev.tsv")], tmp_path, 300)
        for name in ("encoder.json", "vocab.bpe", "dict.txt"):
            assert (tmp_path / name).read_bytes() == (vocabulary / name).read_bytes()

    def test_too_small_a_size_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="100 tokens do not hold the 256 bytes"):
            train_bpe.train_bpe(["text"], tmp_path, 100)


def test_the_command_leaves_raw_data_and_vocabulary(tmp_path, folder):
    cues.main(["--out", str(tmp_path)])
    made = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert made == [f"raw/Cues/{name}.tsv" for name in ("dev", "test", "train")] + [
        f"vocab/gpt2_bpe/{name}" for name in ("dict.txt", "encoder.json", "vocab.bpe")
    ]
    assert (tmp_path / "raw/Cues/dev.tsv").read_bytes() == (folder / "dev.tsv").read_bytes()
