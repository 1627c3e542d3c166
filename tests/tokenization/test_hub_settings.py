"""Tests of the settings beside a vocabulary: applied, or refused where they contradict it."""

import json

import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary
from tests.tokenization.test_vocabulary import pieces_of, write_albert, write_bert, write_mpnet, write_roberta

WRITE = {"wordpiece": write_bert, "mpnet": write_mpnet, "sentencepiece": write_albert, "gpt2_bpe": write_roberta}


def saved(family, folder):
    """The family's tokenizer as ``Vocabulary.save`` writes it."""
    (source := folder / "source").mkdir()
    Vocabulary(WRITE[family](source)).save(source)
    return Tokenizer.from_file(str(source / "tokenizer.json"))


HUB = {**WRITE, "gpt2_bpe": lambda folder: saved("gpt2_bpe", folder).model.save(str(folder))}


@pytest.fixture
def folder(tmp_path):
    """folder(family, change, settings, name) writes a vocabulary and settings; with ``change``, as tokenizer.json."""

    def make(family, change=None, settings=None, name="tokenizer_config.json"):
        if change is None:
            HUB[family](tmp_path)
        else:
            tokenizer = saved(family, tmp_path)
            change(tokenizer)
            tokenizer.save(str(tmp_path / "tokenizer.json"))
        if settings is not None:
            (tmp_path / name).write_text(json.dumps(settings))
        return tmp_path

    return make


def same(tokenizer):
    """Changes nothing."""


def cased(tokenizer):
    tokenizer.normalizer = BertNormalizer(lowercase=False)


@pytest.mark.parametrize("family, change, settings, words", [
    ("wordpiece", same, {"do_lower_case": False}, "do_lower_case is false, and tokenizer.json beside it"),
    ("wordpiece", cased, {"do_lower_case": True}, "do_lower_case is true"),
    ("wordpiece", same, {"strip_accents": False}, "strip_accents is false"),
    ("wordpiece", cased, {"strip_accents": True}, "strip_accents is true"),
    ("wordpiece", same, {"tokenize_chinese_chars": False}, "tokenize_chinese_chars is false"),
    ("mpnet", same, {"do_lower_case": False, "tokenizer_class": "MPNetTokenizerFast"}, "do_lower_case is false"),
    ("sentencepiece", same, {"do_lower_case": False}, "do_lower_case is false"),
    ("sentencepiece", same, {"keep_accents": True}, "keep_accents is true"),
    ("gpt2_bpe", same, {"add_prefix_space": True}, "add_prefix_space is true"),
])
def test_settings_that_contradict_tokenizer_json_are_refused(folder, family, change, settings, words):
    made = folder(family, change, {"tokenizer_class": CLASS[family], **settings})
    with pytest.raises(UserError, match=words):
        Vocabulary(made)


CLASS = {"wordpiece": "BertTokenizer", "mpnet": "MPNetTokenizer", "sentencepiece": "AlbertTokenizer",
         "gpt2_bpe": "RobertaTokenizerFast"}


@pytest.mark.parametrize("family, settings", [
    ("wordpiece", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": None,
                   "tokenize_chinese_chars": True, "unk_token": "[UNK]", "cls_token": {"content": "[CLS]"}}),
    ("wordpiece", {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}),
    ("mpnet", {"tokenizer_class": "MPNetTokenizer", "sep_token": "</s>", "unk_token": "[UNK]", "pad_token": "<pad>"}),
    ("sentencepiece", {"tokenizer_class": "AlbertTokenizer", "do_lower_case": True, "keep_accents": False}),
    ("gpt2_bpe", {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False,
                  "added_tokens_decoder": {"0": {"content": "<s>", "special": True}}}),
])
def test_settings_that_agree_change_nothing(folder, family, settings):
    made = folder(family, same)
    expected = Vocabulary(made).record
    (made / "tokenizer_config.json").write_text(json.dumps(settings))
    assert Vocabulary(made).record == expected


@pytest.mark.parametrize("change", [None, same])
@pytest.mark.parametrize("family, name, settings, words", [
    ("wordpiece", "tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"},
     "tokenizer_class is BertJapaneseTokenizer, and a wordpiece vocabulary is read as that of BertTokenizer"),
    ("sentencepiece", "tokenizer_config.json", {"tokenizer_class": "T5TokenizerFast"}, "class is T5Tokenizer"),
    ("wordpiece", "tokenizer_config.json", {"sep_token": "the"}, r"sep_token is the, and that .* is \[SEP\]"),
    ("wordpiece", "special_tokens_map.json", {"unk_token": {"content": "un"}}, r"unk_token is un, .* is \[UNK\]"),
    ("gpt2_bpe", "tokenizer_config.json", {"cls_token": 3}, "cls_token is 3, and should be a text"),
    ("wordpiece", "tokenizer_config.json", {"added_tokens_decoder": {"7": {"content": []}}}, "tokens_decoder is"),
    ("wordpiece", "tokenizer_config.json", {"added_tokens_decoder": {"x": {"content": "a"}}}, "tokens_decoder is"),
    ("wordpiece", "added_tokens.json", {"x.y": 15}, "adds the token 'x.y' to its vocabulary"),
    ("gpt2_bpe", "tokenizer_config.json", {"added_tokens_decoder": {"7": {"content": "x.y"}}}, "adds the token 'x.y'"),
])
def test_settings_for_another_vocabulary_are_refused(folder, change, family, name, settings, words):
    made = folder(family, change, settings, name)
    with pytest.raises(UserError, match=words):
        Vocabulary(made)


def test_a_token_that_texts_are_cut_at_is_refused_where_only_the_settings_have_it(folder):
    with pytest.raises(UserError, match="adds the token 'un'"):
        Vocabulary(folder("wordpiece", None, {"un": 2}, "added_tokens.json"))


def test_a_prefix_space_is_applied(folder):
    made = folder("gpt2_bpe", None, {"add_prefix_space": True})
    assert pieces_of(Vocabulary(made), "the the")[0] == "Ġthe"


def test_a_tokenizer_that_cuts_no_words_is_compared_all_the_same(folder):
    def uncut(tokenizer):
        tokenizer.pre_tokenizer = None

    made = folder("gpt2_bpe", uncut, {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True})
    with pytest.raises(UserError, match="add_prefix_space is true"):
        Vocabulary(made)


def test_a_dropout_is_refused(folder):
    def drop(tokenizer):
        tokenizer.model.dropout = 0.5

    with pytest.raises(UserError, match="leaves out merges at random"):
        Vocabulary(folder("gpt2_bpe", drop))


@pytest.mark.parametrize("processor", [
    RobertaProcessing(("[SEP]", 8), ("[CLS]", 6)),
    TemplateProcessing("[CLS] $A", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 6), ("[SEP]", 8)]),
])
def test_other_special_tokens_around_sentences_are_refused(folder, processor):
    def mark(tokenizer):
        tokenizer.post_processor = processor

    with pytest.raises(UserError, match="post_processor puts other special tokens around sentences"):
        Vocabulary(folder("wordpiece", mark))
