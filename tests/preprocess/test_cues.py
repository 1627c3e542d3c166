import random
import re
from collections import Counter, defaultdict

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.glue.tasks import glue_task
from preprocess import cues, train_bpe

TASK = glue_task("Cues")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cues")
    cues.write_task(folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    """Every split's rows, as dictionaries."""
    return {split.name: read(folder / split.file) for split in TASK.splits}


def read(path):
    header, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def phrases(sentence):
    """[(modifier, adjective, noun)], taken apart without the generator's code."""
    assert sentence.endswith(" .")
    return [tuple(phrase.split()) for phrase in re.split(r" and | , | with ", sentence[:-2])]


def opinions(sentence):
    """+1 or -1 of each phrase that judges, negation included, and how many phrases are negated."""
    said = []
    for modifier, adjective, _ in phrases(sentence):
        value = (adjective in cues.PRAISE) - (adjective in cues.BLAME)
        if value:
            said.append(-value if modifier in cues.NEGATIONS else value)
    return said, sum(modifier in cues.NEGATIONS for modifier, _, _ in phrases(sentence))


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
        said, _ = opinions(row["sentence"])
        assert int(row["label"]) == (sum(said) > 0), row


def test_degrees_are_what_they_say(rows):
    for row in rows["valid"]:
        said, negations = opinions(row["sentence"])
        if row["degree"] == "1":
            assert (len(said), negations) == (1, 0), row
        elif row["degree"] == "2":
            assert (len(said), negations) == (1, 1), row
        else:
            assert len(said) == 3, row


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
        cues.write_task(tmp_path / str(seed), seed)
    for split in TASK.splits:
        assert (tmp_path / "1" / split.file).read_bytes() == (folder / split.file).read_bytes()
        assert (tmp_path / "2" / split.file).read_bytes() != (folder / split.file).read_bytes()


def test_sentences_seen_before_are_not_drawn():
    seen = {example.sentence for example in cues.examples(200, random.Random(1), set())}
    again = cues.examples(200, random.Random(1), set(seen))
    assert not seen & {example.sentence for example in again}


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["cues", "--out", str(tmp_path / "file" / "below")])
    with pytest.raises(UserError, match="cannot write the task to"):
        cues.main()


class TestVocabulary:
    @pytest.fixture(scope="class")
    def vocabulary(self, folder, tmp_path_factory):
        out = tmp_path_factory.mktemp("vocabulary")
        train_bpe.train_bpe([row["sentence"] for row in read(folder / "dev.tsv")], out, 400)
        return out

    def test_same_ids_as_fairseq_s_own_bpe(self, rows, vocabulary):
        from fairseq.data import Dictionary
        from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

        from preprocess.bpe import Vocabulary

        gpt2 = get_encoder(str(vocabulary / "encoder.json"), str(vocabulary / "vocab.bpe"))
        dictionary = Dictionary.load(str(vocabulary / "dict.txt"))
        sentences = [row["sentence"] for row in rows["test"][:50]] + ["unseen wörds, too: 日本"]
        for sentence, ids in zip(sentences, Vocabulary(vocabulary).encode(sentences), strict=True):
            line = " ".join(map(str, gpt2.encode(sentence)))
            assert ids.tolist() == dictionary.encode_line(line, add_if_not_exist=False).tolist()
            assert dictionary.unk() not in ids

    def test_the_dictionary_counts_every_id_most_frequent_first(self, vocabulary):
        lines = [line.split() for line in (vocabulary / "dict.txt").read_text().splitlines()]
        assert sorted(int(i) for i, _ in lines) == list(range(400))
        counts = [int(count) for _, count in lines]
        assert counts == sorted(counts, reverse=True) and counts[0] > 0

    def test_the_same_text_gives_the_same_files(self, folder, vocabulary, tmp_path):
        train_bpe.train_bpe([row["sentence"] for row in read(folder / "dev.tsv")], tmp_path, 400)
        for name in ("encoder.json", "vocab.bpe", "dict.txt"):
            assert (tmp_path / name).read_bytes() == (vocabulary / name).read_bytes()

    def test_too_small_a_size_is_one_line(self, tmp_path):
        with pytest.raises(UserError, match="--size 100 does not hold the 256 bytes"):
            train_bpe.train_bpe(["text"], tmp_path, 100)

    @pytest.mark.parametrize("flags, message", [
        (["--text", "absent.tsv"], "absent.tsv: No such file"),
        (["--text", "dev.tsv", "--column", "text"], "has no column 'text': choose from sentence, label, degree"),
    ])
    def test_bad_input_is_one_line(self, flags, message, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["train_bpe", "--out", str(tmp_path), *flags])
        with pytest.raises(UserError, match=message):
            train_bpe.main()
