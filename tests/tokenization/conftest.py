"""Fixtures for tests of tokenization: real sentences, and slow reference tokenizers."""

import json
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import AddedToken, Tokenizer

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.raw.examples import read_examples
from fairseq_palbert.tokenization import Vocabulary

USER_DEFINED = '()"-.–£€'  # pieces of ALBERT that transformers 5 cuts out of the raw text when it reads spiece.model
REAL_TASKS = ("CoLA", "SST-2", "MRPC", "STS-B", "RTE")
LONGEST_WORD = 100  # in characters; BERT turns a longer word into [UNK]
CJK = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
       (0x2B820, 0x2CEAF),
       (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))

Reference = Callable[[str], list[int]]  # from a sentence to native ids without marks


@pytest.fixture(scope="session")
def real_examples(glue_dir) -> dict[str, list[tuple[str, ...]]]:
    """Returns all examples by task, without outer white space, which Vocabulary strips before it tokenizes."""
    examples = {}
    for name in REAL_TASKS:
        task, raw = packaged_task(name), glue_dir(name).parent
        rows = {split: list(read_examples(task, split, raw)) for split in task.splits}
        assert {split.name: len(found) for split,
                found in rows.items()} == {split.name: split.rows for split in task.splits}
        examples[name] = [tuple(map(str.strip, row.sentences)) for found in rows.values() for row in found]
    return examples


@pytest.fixture(scope="session")
def real_sentences(real_examples) -> list[str]:
    return sorted({sentence for examples in real_examples.values() for sentences in examples for sentence in sentences})


@pytest.fixture(scope="session")
def wordpiece_reference():
    """wordpiece_reference(vocab.txt) returns a tokenizer: BERT's cleaning and splitting, then the longest piece first,
    as in the code of BERT's paper."""
    return _wordpiece


def _wordpiece(vocabulary: Path) -> Reference:
    ids = {piece: native_id for native_id, piece in enumerate(vocabulary.read_text().split("\n"))}

    @cache
    def of_word(word: str) -> list[int]:
        letters = [c for c in unicodedata.normalize("NFD", word.lower()) if unicodedata.category(c) != "Mn"]
        marked = "".join(f" {c} " if _is_punctuation(c) else c for c in letters)
        return [native_id for part in marked.split() for native_id in longest_first(part)]

    def longest_first(word: str) -> list[int]:
        found, start = [], 0
        while start < len(word) <= LONGEST_WORD:
            ends = (end for end in range(len(word), start, -1) if "##" * (start > 0) + word[start:end] in ids)
            end = next(ends, None)
            if end is None:
                return [ids["[UNK]"]]
            found.append(ids["##" * (start > 0) + word[start:end]])
            start = end
        return found or [ids["[UNK]"]]

    cleaned = _CleanedCharacters()
    return lambda sentence: [native_id for word in sentence.translate(cleaned).split() for native_id in of_word(word)]


class _CleanedCharacters(dict):
    """A table for str.translate: spaces for white space, no control characters, each Chinese character a word."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if character in "\t\n\r" or unicodedata.category(character) == "Zs":
            self[code] = " "
        elif code in (0, 0xFFFD) or unicodedata.category(character).startswith("C"):
            self[code] = ""
        else:
            self[code] = f" {character} " if any(low <= code <= high for low, high in CJK) else character
        return self[code]


def _is_punctuation(character: str) -> bool:
    symbol = character.isascii() and character.isprintable() and not character.isalnum() and character != " "
    return symbol or unicodedata.category(character).startswith("P")


@pytest.fixture(scope="session")
def sentencepiece_reference():
    """sentencepiece_reference(spiece.model, cut) returns a tokenizer: ALBERT's normalisation, then sentencepiece.

    The normalisation is written by hand here. The tokenizer first cuts the pieces ``cut`` out of the raw text, as
    ``transformers`` does with user-defined pieces.
    """
    return _sentencepiece


def _sentencepiece(model: Path, cut: str = "") -> Reference:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_file=str(model))

    @cache
    def of_word(word: str) -> list[int]:
        return processor.encode(word)

    def of_text(text: str) -> list[int]:
        text = unicodedata.normalize("NFKD", text.replace("``", '"').replace("''", '"'))
        letters = "".join(c for c in text if not unicodedata.category(c).startswith("M")).lower()
        return [native_id for word in letters.split() for native_id in of_word(word)]

    def of_sentence(sentence: str) -> list[int]:
        parts = re.split(f"([{re.escape(cut)}])", sentence) if cut else [sentence]
        return [native_id for part in parts
                for native_id in ([processor.piece_to_id(part)] if part and part in cut else of_text(part))]

    return of_sentence


@pytest.fixture(scope="session")
def real_folder(vocab_dir, encoder_dir, tmp_path_factory):
    """real_folder(kind) returns the folder of a real vocabulary.

    - bert: vocab.txt; albert: spiece.model.
    - albert_hub: tokenizer.json, which cuts nothing out of the raw text.
    - albert_cut: tokenizer.json as transformers 5 makes it from spiece.model.
    - roberta_hub: vocab.json and merges.txt, as the Hub has them.
    - all-mpnet-base-v2: the files of the Hub; mpnet: its vocab.txt alone, which is BERT's between RoBERTa's marks.
    """

    @cache
    def find(kind: str) -> Path:
        if kind in ("bert", "albert"):
            return vocab_dir(kind)
        if kind == "all-mpnet-base-v2":
            return encoder_dir(kind)
        folder = tmp_path_factory.mktemp(kind)
        if kind == "mpnet":
            pieces = (vocab_dir("bert") / "vocab.txt").read_text()
            (folder / "vocab.txt").write_text(f"<s>\n<pad>\n</s>\n<unk>\n{pieces}<mask>\n")
        elif kind == "roberta_hub":
            _write_hub_roberta(vocab_dir("gpt2_bpe"), folder)
        else:
            Vocabulary(vocab_dir("albert")).save(folder)
            (folder / "dict.txt").unlink()
            if kind == "albert_cut":
                tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
                tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in USER_DEFINED])
                tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return find


def _write_hub_roberta(source: Path, folder: Path) -> None:
    """Writes vocab.json and merges.txt; a piece's id is its entry in fairseq's dictionary."""
    piece_of = {str(number): piece for piece, number in json.loads((source / "encoder.json").read_text()).items()}
    symbols = [line.split()[0] for line in (source / "dict.txt").read_text().splitlines()]
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *(piece_of.get(symbol, symbol) for symbol in symbols), "<mask>"]
    (folder / "vocab.json").write_text(json.dumps({piece: native_id for native_id, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text((source / "vocab.bpe").read_text())


class _Sentences(list):
    """The part of an indexed dataset that SentenceDataset needs."""

    def __init__(self, ids: list[np.ndarray]):
        super().__init__(map(torch.from_numpy, ids))
        self.sizes = np.array(list(map(len, ids)))


@pytest.fixture(scope="session")
def assembled():
    """assembled(vocabulary, examples, limit) returns the native ids and segments of each example.

    ``--task glue`` assembles the ids, and an encoder of two segments makes the segments.
    """
    from fairseq_palbert.modules.batch import PackedBatch
    from fairseq_palbert.modules.encoder import Encoder, EncoderShape
    from fairseq_palbert.tasks.dataset import SentenceDataset, TokenizedSplit

    encoder = Encoder(EncoderShape(vocabulary=4, padding_id=1, separator_id=2, max_positions=1, layers=1, hidden=1,
                                   ffn_hidden=1, heads=1, segments=2))

    def call(vocabulary: Vocabulary, examples: list[tuple[str, ...]], limit: int) -> list[tuple[list[int], list[int]]]:
        columns = [_Sentences(vocabulary.encode(column)) for column in zip(*examples, strict=True)]
        split = TokenizedSplit(columns, None, vocabulary.separators)
        dataset = SentenceDataset(split, np.arange(len(examples)), limit, shuffle=False)
        tokens = [dataset[index]["tokens"] for index in range(len(dataset))]
        segments = encoder._segments(PackedBatch.of(tokens)).split(list(map(len, tokens)))
        return [(vocabulary.native_ids[row].tolist(), marks.tolist()) for row,
                marks in zip(tokens, segments, strict=True)]

    return call
