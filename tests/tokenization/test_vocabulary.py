"""Tests of small vocabularies of every family: ids, saving, records, refusals."""

import json
import math
import random
import shutil
import tempfile
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE, WordLevel
from tokenizers.processors import TemplateProcessing

from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.identity import check_identity, identity_of
from fairseq_palbert.tokenization.special_tokens import END, FIRST
from preprocess.train_bpe import train_bpe

BERT_PIECES = ["[PAD]", "the", "un", "##like", "##ly", "[UNK]", "[CLS]", "'", "[SEP]", "[MASK]", "naive", "[", "]",
               "sep", "語"]
ALBERT_PIECES = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "(", '"', "▁", "▁the", "▁un", "like", "ly", "▁naive",
                 "ive", "é"]
MPNET_PIECES = ["<s>", "<pad>", "</s>", "<unk>", *BERT_PIECES, "<mask>"]
CONTROL, UNKNOWN, USER_DEFINED, NORMAL = 3, 2, 4, 1  # types of SentencePiece's pieces
FAMILIES = ("wordpiece", "sentencepiece", "gpt2_bpe", "mpnet")
NAMES = {"mpnet": "wordpiece"}  # the tokenizer's name, where it is not the family's
SENTENCES = ["the unlikely cat", "Naïve (the) ``un'' 語", "[SEP] </s> <mask>", ""]


def write_bert(folder, pieces=BERT_PIECES, **settings):
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece in pieces))
    return settled(folder, settings)


def write_mpnet(folder, pieces=MPNET_PIECES, **settings):
    return write_bert(folder, pieces, **settings)


def write_albert(folder, pieces=ALBERT_PIECES, model_type=1, scores=None, **settings):
    """Writes spiece.model; without ``scores``, a piece of one character has the score −1, and others 0."""
    model = ModelProto()
    model.trainer_spec.model_type = model_type
    model.normalizer_spec.name = "identity"
    for place, piece in enumerate(pieces):
        plain = USER_DEFINED if piece in '("' else NORMAL
        kind = UNKNOWN if piece == "<unk>" else CONTROL if piece[0] in "<[" else plain
        model.pieces.add(piece=piece, score=scores[place] if scores else -float(len(piece) == 1), type=kind)
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    return settled(folder, settings)


def write_roberta(folder):
    train_bpe(["the unlikely cat", "it isn't the 12 or 345 dogs"] * 3, folder, 300)
    return folder


def settled(folder, settings):
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def write(tmp_path):
    """write(family) returns a new folder with that family's small vocabulary."""

    def call(family: str):
        folder = tmp_path / family
        folder.mkdir()
        return {"wordpiece": write_bert, "sentencepiece": write_albert, "gpt2_bpe": write_roberta,
                "mpnet": write_mpnet}[family](folder)

    return call


def pieces_of(vocabulary, sentence: str) -> list[str]:
    return [vocabulary.pieces[entry] for entry in vocabulary.encode([sentence])[0]]


def test_entries_of_wordpiece_follow_the_native_ids_behind_the_marks(write):
    vocabulary = Vocabulary(write("wordpiece"))
    assert vocabulary.pieces == ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "the", "un", "##like", "##ly", "'", "naive", "[",
                                 "]",
                                 "sep", "語", "[MASK]"]
    assert vocabulary.native_ids.tolist() == [6, 0, 8, 5, 1, 2, 3, 4, 7, 10, 11, 12, 13, 14, 9]
    assert vocabulary.symbols == ["1", "2", "3", "4", "7", "10", "11", "12", "13", "14"]
    assert (len(vocabulary), vocabulary.name, vocabulary.separators) == (15, "wordpiece", 1)


@pytest.mark.parametrize("sentence, pieces", [
    ("The UNLIKELY the", ["the", "un", "##like", "##ly", "the"]),
    ("  naïve'the\n", ["naive", "'", "the"]),
    ("unknown the語语", ["[UNK]", "the", "語", "[UNK]"]),
    ("[SEP] [MASK]", ["[", "sep", "]", "[", "[UNK]", "]"]),
    ("", []),
])
def test_wordpiece_by_hand(write, sentence, pieces):
    assert pieces_of(Vocabulary(write("wordpiece")), sentence) == [*pieces, "[SEP]"]


def test_mpnets_wordpiece_has_robertas_marks_and_two_separators(write):
    """BERT's marks are ordinary pieces, but an unknown word becomes BERT's [UNK]; <unk> is not used."""
    vocabulary = Vocabulary(write("mpnet"))
    assert vocabulary.pieces[:5] == ["<s>", "<pad>", "</s>", "[UNK]", "<unk>"] and vocabulary.pieces[-1] == "<mask>"
    assert vocabulary.native_ids.tolist() == [0, 1, 2, 9, *(i for i in range(3, 19) if i != 9), 19]
    assert (len(vocabulary), vocabulary.name, vocabulary.separators) == (20, "wordpiece", 2)
    assert pieces_of(vocabulary, "the UNLIKELY cat's [SEP] 语") == [
        "the", "un", "##like", "##ly", "[UNK]", "'", "[UNK]", "[", "sep", "]", "[UNK]", "</s>"]


@pytest.mark.parametrize("mark", ["[UNK]", "<mask>"])
def test_an_mpnets_wordpiece_without_a_mark_is_refused(mark, tmp_path):
    with pytest.raises(UserError, match=f"vocab.txt has no piece .?{mark[1:-1]}"):
        Vocabulary(write_mpnet(tmp_path, [piece for piece in MPNET_PIECES if piece != mark]))


def test_wordpiece_keeps_case_and_accents_where_its_settings_say_so(tmp_path):
    vocabulary = Vocabulary(write_bert(tmp_path, [*BERT_PIECES, "The", "naïve"], do_lower_case=False))
    assert pieces_of(vocabulary, "The the naïve naive") == ["The", "the", "naïve", "naive", "[SEP]"]


def test_entries_of_sentencepiece_follow_the_native_ids_behind_the_marks(write):
    vocabulary = Vocabulary(write("sentencepiece"))
    assert vocabulary.pieces == ["[CLS]", "<pad>", "[SEP]", "<unk>", *ALBERT_PIECES[5:], "[MASK]"]
    assert vocabulary.native_ids.tolist() == [2, 0, 3, 1, *range(5, 15), 4]
    assert (len(vocabulary), vocabulary.name, vocabulary.separators) == (15, "sentencepiece", 1)


@pytest.mark.parametrize("sentence, pieces", [
    ("The  UNLIKELY the", ["▁the", "▁un", "like", "ly", "▁the"]),
    ("Naïve (the", ["▁naive", "▁", "(", "<unk>"]),
    ("the(like", ["▁the", "(", "like"]),  # what follows a user-defined piece begins no new word
    ("the ``un''", ["▁the", "▁", '"', "<unk>", '"']),
    ("the [SEP]", ["▁the", "▁", "<unk>"]),
    ("", []),
])
def test_sentencepiece_by_hand(write, sentence, pieces):
    assert pieces_of(Vocabulary(write("sentencepiece")), sentence) == [*pieces, "[SEP]"]


@given(st.integers(0, 2**32).map(random.Random),  # hypothesis prefers equal scores, where rounding decides
       st.text('the un"(likely語', max_size=12))
def test_sentencepiece_is_cut_as_by_its_library(sentencepiece_reference, drawn, sentence):
    """The file has a user-defined piece of two characters, and random scores."""
    scores = [drawn.uniform(-20, -1) for _ in range(20)]
    with tempfile.TemporaryDirectory() as folder:
        write_albert(Path(folder), [*ALBERT_PIECES, '("', "▁(", "e(", "el", "lik"], scores=scores)
        reference, vocabulary = sentencepiece_reference(Path(folder, "spiece.model")), Vocabulary(folder)
    assert vocabulary.native_ids[vocabulary.encode([sentence])[0]].tolist()[:-1] == reference(sentence)


@pytest.mark.parametrize("gap", [-0.15, -0.05, -0.01, 0.01, 0.05, 0.15])
@pytest.mark.parametrize("sentence", ["(", '("', '(("'])
def test_a_user_defined_piece_weighs_what_sentencepiece_gives_it(sentencepiece_reference, tmp_path, sentence, gap):
    """``gap`` is the score of a piece that begins a word and has the user-defined one in it, above that of ▁."""
    pieces = [*ALBERT_PIECES, '("', "▁(", '▁("']
    scores = [-10 + gap if piece[:2] == "▁(" else -10 if piece == "▁" else -19 for piece in pieces]
    write_albert(tmp_path, pieces, scores=scores)
    vocabulary, reference = Vocabulary(tmp_path), sentencepiece_reference(tmp_path / "spiece.model")
    assert vocabulary.native_ids[vocabulary.encode([sentence])[0]].tolist()[:-1] == reference(sentence)


def test_a_tokenizer_of_the_hub_beside_a_sentencepiece_decides(write):
    """transformers 5 makes such a tokenizer, which cuts user-defined pieces out of the raw text."""
    folder = write("sentencepiece")
    Vocabulary(folder).save(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken("(", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert pieces_of(Vocabulary(folder), "the(like") == ["▁the", "(", "▁", "like", "[SEP]"]


def test_sentencepiece_keeps_accents_where_its_settings_say_so(tmp_path):
    vocabulary = Vocabulary(write_albert(tmp_path, keep_accents=True, do_lower_case=False))
    assert pieces_of(vocabulary, "the é The") == ["▁the", "▁", "é", "▁", "<unk>", "[SEP]"]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_saved_reads_back_as_the_same_vocabulary(family, write, tmp_path):
    (tmp_path / "saved").mkdir()
    vocabulary = Vocabulary(write(family))
    vocabulary.save(tmp_path / "saved")
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["dict.txt", "tokenizer.json"]
    again = Vocabulary(tmp_path / "saved")
    assert (again.record, again.symbols, again.pieces) == (vocabulary.record, vocabulary.symbols, vocabulary.pieces)
    assert again.native_ids.tolist() == vocabulary.native_ids.tolist()
    assert [ids.tolist() for ids in again.encode(SENTENCES)] == [ids.tolist() for ids in vocabulary.encode(SENTENCES)]


@pytest.mark.parametrize("family", FAMILIES)
def test_saving_for_a_longer_embedding_fills_the_dictionary_before_mask(family, write, tmp_path):
    vocabulary = Vocabulary(write(family))
    size = len(vocabulary)
    for name, wanted in (("once", size + 2), ("again", size + 3)):
        (tmp_path / name).mkdir()
        vocabulary.save(tmp_path / name, wanted)
        padded = Vocabulary(tmp_path / name)
        assert (len(padded), padded.record) == (wanted, vocabulary.record)
        assert sorted(padded.native_ids.tolist()) == list(range(wanted))
        assert padded.pieces[-1] == vocabulary.pieces[-1]
        assert padded.native_ids[-1] == vocabulary.native_ids[-1]
        vocabulary = padded
    assert padded.symbols[-3:] == ["madeupword0000", "madeupword0001", "madeupword0002"]
    with pytest.raises(UserError, match=f"the embedding has {size} rows, but the {NAMES.get(family, family)} "
                                        f"vocabulary has {size + 3} entries"):
        padded.save(tmp_path / "once", size)


def test_a_dictionary_without_a_last_line_end_is_filled_all_the_same(write, tmp_path):
    folder = write("gpt2_bpe")
    (folder / "dict.txt").write_text((folder / "dict.txt").read_text().rstrip("\n"))
    vocabulary = Vocabulary(folder)
    vocabulary.save(tmp_path)
    assert (tmp_path / "dict.txt").read_bytes() == (folder / "dict.txt").read_bytes()
    vocabulary.save(tmp_path, len(vocabulary) + 1)
    assert Vocabulary(tmp_path).symbols == [*vocabulary.symbols, "madeupword0000"]


@pytest.mark.parametrize("family", FAMILIES)
def test_fairseq_reads_the_dictionary_with_the_same_entries(family, write, tmp_path):
    from fairseq.data import Dictionary

    vocabulary = Vocabulary(write(family))
    (tmp_path / "saved").mkdir()
    vocabulary.save(tmp_path / "saved", len(vocabulary) + 2)
    dictionary = Dictionary.load(str(tmp_path / "saved" / "dict.txt"))
    dictionary.add_symbol("<mask>")
    assert dictionary.symbols == ["<s>", "<pad>", "</s>", "<unk>", *Vocabulary(tmp_path / "saved").symbols, "<mask>"]


def test_records_tell_tokenizers_apart(tmp_path):
    folders = [write_bert, write_albert, write_roberta, lambda folder: write_bert(folder, do_lower_case=False),
               lambda folder: write_bert(folder, [*BERT_PIECES[1:], BERT_PIECES[0]]),
               lambda folder: write_albert(folder, keep_accents=True), write_mpnet]
    records = []
    for index, fill in enumerate(folders):
        (tmp_path / str(index)).mkdir()
        records.append(Vocabulary(fill(tmp_path / str(index))).record)
    assert all(set(record) == {"name", "separators", "sha256", "pipeline"} for record in records)
    # moving [PAD] changes native ids, and so the words of dict.txt, but no entry's meaning
    assert [pair for pair in combinations(range(len(records)), 2) if records[pair[0]] == records[pair[1]]] == [(0, 4)]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_text_makes_a_special_token_but_unk(write, family):
    texts = ["<s> <pad> </s>", "[CLS]<pad>[SEP]", "[PAD] the [SEP]", "<pad>"]
    for ids in Vocabulary(write(family)).encode(texts):
        assert ids[-1] == END and not (set(ids[:-1].tolist()) & set(range(FIRST.index("<unk>"))))


def change_normalizer(content):
    added = {"type": "Replace", "pattern": {"String": "good"}, "content": "bad"}
    content["normalizer"] = {"type": "Sequence", "normalizers": [added, *filter(None, [content["normalizer"]])]}


def change_pre_tokenizer(content):
    content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"String": "zq"}, "behavior": "Removed", "invert": False},
        content["pre_tokenizer"]]}


def add_token(content):
    content["added_tokens"].append({"id": 5, "content": "zq", "single_word": False, "lstrip": False, "rstrip": False,
                                    "normalized": False, "special": False})


def change_model(content):
    model = content["model"]
    if model["type"] == "BPE":
        model["merges"].reverse()
    elif model["type"] == "Unigram":
        model["vocab"][-1][1] -= 1
    else:
        model["max_input_chars_per_word"] = 7


@pytest.mark.parametrize("family, change", [
    *product(FAMILIES, [change_normalizer, change_pre_tokenizer, change_model]),
    ("wordpiece", add_token), ("sentencepiece", add_token), ("mpnet", add_token),  # RoBERTa's refuse it
])
def test_what_is_done_to_a_word_that_no_probe_holds_changes_the_record(write, tmp_path, family, change):
    vocabulary = Vocabulary(write(family))
    vocabulary.save(tmp_path)
    (tmp_path / "dict.txt").unlink()  # it may no longer fit
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    changed = Vocabulary(tmp_path)
    assert changed.record["pipeline"] != vocabulary.record["pipeline"]
    with pytest.raises(UserError, match=r"was trained on .*pipeline: \w+….* but .* holds .*pipeline: "):
        check_identity("the model", identity_of(vocabulary), tmp_path, tmp_path / "dict.txt", identity_of(changed), "-")


def test_a_record_without_the_pipeline_as_older_checkpoints_have_it_is_still_compared(write):
    held = identity_of(Vocabulary(write("wordpiece")))
    older = {name: value for name, value in held.tokenizer.items() if name != "pipeline"}
    check_identity("the model", replace(held, tokenizer=older), Path("data"), Path("dict.txt"), held, "-")
    with pytest.raises(UserError, match="was trained on"):
        check_identity("the model", replace(held, tokenizer=older | {"sha256": "0"}), Path(), Path(), held, "-")


def test_a_tokenizer_of_the_hub_is_read_without_its_truncation_padding_and_marks(write, tmp_path):
    vocabulary = Vocabulary(write("wordpiece"))
    vocabulary.save(tmp_path)
    (tmp_path / "dict.txt").unlink()
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.add_special_tokens(["[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"])
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1",
                                                  special_tokens=[("[CLS]", 6), ("[SEP]", 8)])
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    hub = Vocabulary(tmp_path)
    assert hub.record == vocabulary.record
    assert [ids.tolist() for ids in hub.encode(SENTENCES)] == [ids.tolist() for ids in vocabulary.encode(SENTENCES)]


@pytest.mark.parametrize("mark", ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"])
def test_a_wordpiece_without_a_mark_is_refused(mark, tmp_path):
    write_bert(tmp_path, [piece for piece in BERT_PIECES if piece != mark])
    with pytest.raises(UserError, match=rf"vocab.txt has no piece \[{mark[1:-1]}\]"):
        Vocabulary(tmp_path)


@pytest.mark.parametrize("mark", ["[CLS]", "<pad>", "[SEP]", "[MASK]"])
def test_a_sentencepiece_without_a_mark_is_refused(mark, tmp_path):
    write_albert(tmp_path, [piece for piece in ALBERT_PIECES if piece != mark])
    with pytest.raises(UserError, match=f"spiece.model has no piece .{mark[1:-1]}."):
        Vocabulary(tmp_path)


def saved(model) -> str:
    return Tokenizer(model).to_str()


@pytest.mark.parametrize("name, content, words", [
    ("tokenizer.json", saved(WordLevel({"a": 0}, "a")), "is a WordLevel tokenizer: choose from BPE, WordPiece, "
                                                        "Unigram"),
    ("tokenizer.json", saved(BPE({"a": 0}, [])), "is not RoBERTa's"),
    ("tokenizer.json", "{", "is no tokenizer of the Hugging Face Hub"),
    ("spiece.model", "no model", "spiece.model is no SentencePiece model"),
    ("spiece.model", "", "spiece.model is no unigram model of SentencePiece"),
    ("vocab.txt", b"\xff", "vocab.txt: byte 0xff at position 1 is no UTF-8"),
    ("vocab.txt", "", "vocab.txt is no WordPiece vocabulary: line 1 is blank"),
    ("README.md", "", "no vocabulary in .* it must hold tokenizer.json, vocab.txt, spiece.model"),
])
def test_files_that_are_no_vocabulary_are_one_clear_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=words) as error:
        Vocabulary(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pieces, words", [
    (["the", *BERT_PIECES], "line 3 has the a second time"), ([*BERT_PIECES, ""], "line 16 is blank"),
    ([*BERT_PIECES[:9], " ", *BERT_PIECES[9:]], "line 10 is blank"),
])
def test_lines_of_wordpiece_that_are_blank_or_repeated_are_refused(tmp_path, pieces, words):
    with pytest.raises(UserError, match=f"vocab.txt is no WordPiece vocabulary: {words}"):
        Vocabulary(write_bert(tmp_path, pieces))


def test_a_sentencepiece_is_refused_wherever_it_is_cut(tmp_path):
    """A cut between two pieces leaves a model that protobuf reads."""
    path = write_albert(tmp_path) / "spiece.model"
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="spiece.model (is no SentencePiece model|is no unigram model|is cut)"):
            Vocabulary(tmp_path)


@pytest.mark.parametrize("score", [math.nan, -math.inf, 1.0])
def test_a_sentencepiece_whose_scores_are_no_log_probabilities_is_refused(tmp_path, score):
    with pytest.raises(UserError, match="spiece.model is damaged: a score of a piece is no log probability"):
        Vocabulary(write_albert(tmp_path, scores=[*[-1.0] * 14, score]))


def test_a_sentencepiece_with_a_piece_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="spiece.model is damaged: the ids of its 15 pieces are not 0 to 14, each once"):
        Vocabulary(write_albert(tmp_path, [*ALBERT_PIECES, "▁the"]))


@pytest.mark.parametrize("family, native_id", [
    *product(("wordpiece", "gpt2_bpe", "mpnet"), [1, 2, 15, 4_000_000_000]),
    ("sentencepiece", None),  # its ids are places in a list
])
def test_a_tokenizer_whose_ids_have_gaps_is_refused(write, tmp_path, family, native_id):
    """Two pieces with one id would be confused, and with an id of 4e9, memory would not hold the dictionary."""
    Vocabulary(write(family)).save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    pieces = content["model"]["vocab"]
    if family == "sentencepiece":
        pieces[-1] = pieces[-2]
    else:
        piece = [piece for piece in pieces if piece.isalpha()][-1]
        pieces[piece] = native_id if native_id != pieces[piece] else native_id + 1
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="tokenizer.json (is damaged|is not RoBERTa's)"):
        Vocabulary(tmp_path)


def test_an_embedding_with_more_rows_than_padding_explains_is_refused(write, tmp_path):
    """A vocabulary that has lost half of its pieces is such a case."""
    vocabulary = Vocabulary(write("wordpiece"))
    vocabulary.save(tmp_path, 15 + 1024)
    with pytest.raises(UserError, match="the embedding has 1040 rows, but the wordpiece vocabulary has 15 entries"):
        vocabulary.save(tmp_path, 15 + 1025)


def test_sentencepiece_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UserError, match="spiece.model is no unigram model of SentencePiece"):
        Vocabulary(write_albert(tmp_path, model_type=2))


@pytest.mark.parametrize("content, words", [
    ("{", "tokenizer_config.json: not JSON"), ("[]", "is no JSON object"),
    ('{"do_lower_case": "no"}', "do_lower_case is 'no', and should be true or false"),
])
def test_broken_settings_are_refused(tmp_path, content, words):
    (write_bert(tmp_path) / "tokenizer_config.json").write_text(content)
    with pytest.raises(UserError, match=words):
        Vocabulary(tmp_path)


@pytest.mark.parametrize("change", [
    lambda lines: lines[:-1], lambda lines: lines[::-1], lambda lines: [*lines, "extra 1"],
])
def test_another_dictionary_beside_a_tokenizer_is_refused(write, tmp_path, change):
    Vocabulary(write("wordpiece")).save(tmp_path)
    lines = (tmp_path / "dict.txt").read_text().splitlines()
    (tmp_path / "dict.txt").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(UserError, match="dict.txt does not belong to tokenizer.json beside it"):
        Vocabulary(tmp_path)


def test_files_are_looked_for_in_a_fixed_order(write, tmp_path):
    """A converted folder is read in its own form, even among the files that it was made from."""
    folder = write("wordpiece")
    shutil.copytree(write("gpt2_bpe"), folder, dirs_exist_ok=True)
    assert Vocabulary(folder).name == "gpt2_bpe"
    Vocabulary(write("sentencepiece")).save(tmp_path / "wordpiece")
    assert Vocabulary(folder).name == "sentencepiece"
