"""Vocabulary: encodes sentences as ids of fairseq's dictionary."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ..errors import UserError
from ..files import read_text
from . import gpt2_bpe, sentencepiece, wordpiece
from .detokenize import detokenize
from .dictionary_file import formatted, read_symbols
from .hub_settings import check_settings, read_settings
from .library_errors import refused
from .native import Native
from .pipeline import pipeline_sha256
from .special_tokens import END, FILLER, FIRST, UNKNOWN, with_special_tokens

TOKENIZER_FILE = "tokenizer.json"
DICTIONARY_FILE = "dict.txt"
KINDS: dict[str, Callable[[Tokenizer, str], Native]] = {
    "BPE": gpt2_bpe.of_tokenizer, "WordPiece": wordpiece.of_tokenizer, "Unigram": sentencepiece.of_tokenizer,
}
PADDING_ROWS = 1024  # Megatron pads embeddings to a multiple of 128 for each of its workers, mostly 8
# The Hub's files without a tokenizer.json, by what reads them.
SLOW: dict[tuple[str, ...], Callable[[Path, dict[str, Any]], Native]] = {
    ("vocab.json", "merges.txt"): gpt2_bpe.read_hub, ("vocab.txt",): wordpiece.read,
    ("spiece.model",): sentencepiece.read,
}
# Tokenizers differ in case, accents, quotes, digits, punctuation, white space and other scripts.
PROBE = ("Hello WORLD, it's  naïve Ångström ``quoted'' \"text\" – don't!", "1,234.50 km² in ２０２６, ½ of 9,999 …",
         "東京 и Москва 😀\u200d", "[CLS] <s> [MASK] <mask> </s>", "unbelievably antidisestablishmentarian zxqj")


class Vocabulary:
    """The tokenizer of a folder, and its dictionary.

    ``name`` is the kind of tokenizer, ``separators`` the number of ``</s>`` between the sentences of a pair, and
    ``symbols`` are the words of dict.txt. ``pieces`` and ``native_ids``, the ids of ``transformers``, are indexed by
    dictionary id.

    The folder holds one of: tokenizer.json (from the Hub or ``save``); encoder.json, vocab.bpe and dict.txt, perhaps in
    a subfolder gpt2_bpe; vocab.json and merges.txt; vocab.txt; spiece.model. Raises UserError where it holds none of
    these, or one that is damaged or of another kind.
    """

    def __init__(self, folder: str | Path, detokenized: bool | None = None):
        """``detokenized``: first remove the spaces around punctuation, by sacremoses; None is as False, but unsaid."""
        native = _read(Path(folder))
        self.name = native.name
        self.separators = native.separators
        self.detokenized = detokenized
        self.symbols = native.symbols
        self.native_ids = np.array(native.native_ids)
        self.dictionary_text = native.dictionary_text or formatted(native.symbols)
        self._tokenizer = native.tokenizer
        self._tokenizer.encode_special_tokens = True  # a special token in a text is read as text
        piece_of = {native_id: piece for piece, native_id in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        self.pieces = [piece_of.get(native_id, symbol)
                       for native_id, symbol in zip(native.native_ids, with_special_tokens(self.symbols))]
        self._entry = np.argsort(self.native_ids)  # the inverse: native ids to dictionary ids
        self._entry[self.native_ids[:UNKNOWN]] = UNKNOWN  # a text that has the piece <pad> makes no padding

    def __len__(self) -> int:
        """The number of dictionary entries, ``<mask>`` included."""
        return len(self.native_ids)

    def encode(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """Dictionary ids of each sentence, with ``</s>`` at the end and no ``<s>``. Strips each sentence."""
        return self._ids(detokenize(sentences) if self.detokenized else sentences)

    def _ids(self, sentences: Sequence[str]) -> list[np.ndarray]:
        with refused(f"the {self.name} tokenizer is damaged, and cannot read a sentence"):
            encodings = self._tokenizer.encode_batch_fast([sentence.strip() for sentence in sentences],
                                                          add_special_tokens=False)
        pieces = [encoding.ids for encoding in encodings]
        ids = self._entry[np.fromiter(chain.from_iterable(pieces), dtype=np.int64)]
        ends = np.cumsum([len(sentence) for sentence in pieces], dtype=np.int64)
        # each </s> follows its sentence's last piece: ids [a b c], ends [2 3] -> [a b </s> c </s>]
        with_end = np.insert(ids, ends, END)
        return np.split(with_end, ends + np.arange(1, len(pieces) + 1))[:-1]

    @property
    def record(self) -> dict[str, Any]:
        """The record of the tokenizer, which data and checkpoints keep.

        ``sha256`` covers the pieces in dictionary order and the ids of ``PROBE``, ``pipeline`` what is done to other
        texts, and neither covers files. So a tokenizer has the same record in every file format.
        """
        pieces = [piece for piece in self.pieces[len(FIRST):-1] if not FILLER.fullmatch(piece)]
        behaviour = json.dumps([self.name, pieces, [ids.tolist() for ids in self._ids(PROBE)]])
        return {"name": self.name, "separators": self.separators,
                "sha256": hashlib.sha256(behaviour.encode()).hexdigest(), "pipeline": pipeline_sha256(self._tokenizer)}

    def fillers(self, size: int | None) -> list[str]:
        """The words to add to ``symbols`` so that the dictionary has ``size`` entries; none for None."""
        known = sum(map(bool, map(FILLER.fullmatch, self.symbols)))
        missing = 0 if size is None else size - len(self)
        return [f"madeupword{number:04d}" for number in range(known, known + missing)]

    def save(self, folder: Path, size: int | None = None) -> None:
        """Writes ``tokenizer.json`` and ``dict.txt`` into the existing folder; ``Vocabulary(folder)`` equals this one.

        ``size`` is the number of entries to write, for an embedding with more rows than there are pieces: fillers take
        the last places before ``<mask>``. Raises UserError where ``size`` is less than the number of entries, or more
        than padding explains.
        """
        if size is not None and not len(self) <= size <= len(self) + PADDING_ROWS:
            raise UserError(f"the embedding has {size} rows, but the {self.name} vocabulary has {len(self)} entries: "
                            "give the vocabulary of that embedding")
        fillers = self.fillers(size)
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
        dictionary = self.dictionary_text
        if fillers:
            dictionary = dictionary.removesuffix("\n") + "\n" + formatted(fillers)
        (folder / DICTIONARY_FILE).write_text(dictionary, encoding="utf-8")


def _read(folder: Path) -> Native:
    settings = read_settings(folder)
    if (folder / TOKENIZER_FILE).is_file():
        native = _read_json(folder)
        check_settings(folder, settings, native, from_json=True)
        return native
    for place in (folder, folder / gpt2_bpe.NAME):
        if (place / gpt2_bpe.FILES[0]).is_file():
            for name in gpt2_bpe.FILES:
                if not (place / name).is_file():
                    raise UserError(f"{place / name} is missing: a vocabulary of RoBERTa's is the three files "
                                    f"{', '.join(gpt2_bpe.FILES)}")
            return gpt2_bpe.read_fairseq(place)
    for files, read in SLOW.items():
        if all((folder / name).is_file() for name in files):
            native = read(folder, settings)
            check_settings(folder, settings, native, from_json=False)
            return native
    raise UserError(f"no vocabulary in {folder}: it must hold tokenizer.json, vocab.txt, spiece.model, vocab.json and "
                    f"merges.txt, or {', '.join(gpt2_bpe.FILES)} (these also in a folder {gpt2_bpe.NAME}/ of it); "
                    f"`python -m preprocess.download --vocab --out {folder}` fetches RoBERTa's")


def _read_json(folder: Path) -> Native:
    """Reads tokenizer.json; a dict.txt beside it, as ``save`` writes it, names the words, fillers included."""
    path = folder / TOKENIZER_FILE
    text = read_text(path, "give the Hugging Face Hub's own file")
    with refused(f"{path} is no tokenizer of the Hugging Face Hub"):
        tokenizer = Tokenizer.from_str(text)
    kind = type(tokenizer.model).__name__
    if kind not in KINDS:
        raise UserError(f"{path} is a {kind} tokenizer: choose from {', '.join(KINDS)}")
    if getattr(tokenizer.model, "dropout", None):
        raise UserError(f"{path} leaves out merges at random, by a dropout: set its model's dropout to null")
    native = KINDS[kind](tokenizer, str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if not (folder / DICTIONARY_FILE).is_file():
        return native
    return _with_fillers(native, folder / DICTIONARY_FILE)


def _with_fillers(native: Native, path: Path) -> Native:
    symbols, text = read_symbols(path)
    known = len(native.symbols)
    if symbols[:known] != native.symbols or not all(map(FILLER.fullmatch, symbols[known:])):
        raise UserError(f"{path} does not belong to {TOKENIZER_FILE} beside it: convert the checkpoint again")
    beyond = range(len(native.native_ids), len(native.native_ids) + len(symbols) - known)
    return replace(native, symbols=symbols, native_ids=[*native.native_ids[:-1], *beyond, native.native_ids[-1]],
                   dictionary_text=text)
