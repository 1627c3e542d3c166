"""What turns sentences into the ids of fairseq's dictionary, whatever files it comes in."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ..errors import UserError
from . import gpt2_bpe, sentencepiece, wordpiece
from .dictionary_file import read_symbols, written
from .native import Native
from .special_tokens import END, FIRST, UNKNOWN, with_special_tokens

TOKENIZER_FILE = "tokenizer.json"
DICTIONARY_FILE = "dict.txt"
KINDS: dict[str, Callable[[Tokenizer, str], Native]] = {
    "BPE": gpt2_bpe.of_tokenizer, "WordPiece": wordpiece.of_tokenizer, "Unigram": sentencepiece.of_tokenizer,
}
FILLER = re.compile(r"madeupword\d{4,}")  # fairseq's word for a row of the embedding that no piece has
# Whatever tokenizers treat differently: case, accents, quotes, digits, punctuation, white space, other scripts.
PROBE = ("Hello WORLD, it's  naïve Ångström ``quoted'' \"text\" – don't!", "1,234.50 km² in ２０２６, ½ of 9,999 …",
         "東京 и Москва 😀\u200d", "[CLS] <s> [MASK] <mask> </s>", "unbelievably antidisestablishmentarian zxqj")


class Vocabulary:
    """The tokenizer in a folder, and the dictionary that goes with it.

    ``name`` is the kind, ``separators`` the number of marks between the sentences of a pair, ``symbols`` the words of
    dict.txt, ``pieces`` the pieces by dictionary id, ``native_ids`` the ids of ``transformers`` by dictionary id.

    The folder holds one of: tokenizer.json (of the Hub, or of ``save``); encoder.json, vocab.bpe and dict.txt, which
    may be in its folder gpt2_bpe; vocab.json and merges.txt; vocab.txt; spiece.model. Raises UserError where it holds
    none of these, or one that is damaged or of another kind.
    """

    def __init__(self, folder: str | Path):
        native = _read(Path(folder))
        self.name = native.name
        self.separators = native.separators
        self.symbols = native.symbols
        self.native_ids = np.array(native.native_ids)
        self.dictionary_text = native.dictionary_text or written(native.symbols)
        self._tokenizer = native.tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # what looks like a mark in a text is text
        piece_of = {native_id: piece for piece, native_id in self._tokenizer.get_vocab(with_added_tokens=True).items()}
        self.pieces = [piece_of.get(native_id, symbol)
                       for native_id, symbol in zip(native.native_ids, with_special_tokens(self.symbols))]
        self._entry = np.full(max(*piece_of, *native.native_ids) + 1, UNKNOWN)
        self._entry[self.native_ids] = np.arange(len(self))

    def __len__(self) -> int:
        """The entries of the dictionary, ``<mask>`` included."""
        return len(self.native_ids)

    def encode(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """Dictionary ids of each sentence, with ``</s>`` at the end and no ``<s>``. Outer white space is dropped."""
        encodings = self._tokenizer.encode_batch_fast([sentence.strip() for sentence in sentences],
                                                      add_special_tokens=False)
        pieces = [encoding.ids for encoding in encodings]
        ids = self._entry[np.fromiter(chain.from_iterable(pieces), dtype=np.int64)]
        ends = np.cumsum([len(sentence) for sentence in pieces], dtype=np.int64)
        # each </s> goes behind its sentence's last piece: ids [a b c], ends [2 3] -> [a b </s> c </s>]
        with_end = np.insert(ids, ends, END)
        return np.split(with_end, ends + np.arange(1, len(pieces) + 1))[:-1]

    @property
    def record(self) -> dict[str, Any]:
        """What data and checkpoints keep of their tokenizer.

        ``sha256`` is taken of the pieces in the dictionary's order and of what becomes of a probe, not of files, so
        that one tokenizer has one record in whatever form it comes.
        """
        pieces = [piece for piece in self.pieces[len(FIRST):-1] if not FILLER.fullmatch(piece)]
        behaviour = json.dumps([self.name, pieces, [ids.tolist() for ids in self.encode(PROBE)]])
        return {"name": self.name, "separators": self.separators,
                "sha256": hashlib.sha256(behaviour.encode()).hexdigest()}

    def fillers(self, size: int | None) -> list[str]:
        """The words that follow ``symbols`` where an embedding has more rows, ``size``, than there are entries."""
        known = sum(map(bool, map(FILLER.fullmatch, self.symbols)))
        missing = 0 if size is None else size - len(self)
        return [f"madeupword{number:04d}" for number in range(known, known + missing)]

    def save(self, folder: Path, size: int | None = None) -> None:
        """Writes ``tokenizer.json`` and ``dict.txt`` into the existing folder; ``Vocabulary(folder)`` equals this one.

        ``size`` is the number of dictionary entries wanted, where an embedding has more rows than there are pieces:
        fillers take the last places before ``<mask>``. Raises UserError where it has fewer.
        """
        if size is not None and size < len(self):
            raise UserError(f"the embedding has {size} rows, but the {self.name} vocabulary {len(self)} entries: give "
                            "the vocabulary that goes along")
        if max(self._tokenizer.get_vocab(with_added_tokens=True).values()) > max(self.native_ids):
            raise UserError("dict.txt lacks pieces of encoder.json, which tokenizer.json cannot say: give the dict.txt "
                            "that goes along")
        fillers = self.fillers(size)
        (folder / TOKENIZER_FILE).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")
        dictionary = self.dictionary_text
        if fillers:
            dictionary = dictionary.removesuffix("\n") + "\n" + written(fillers)
        (folder / DICTIONARY_FILE).write_text(dictionary, encoding="utf-8")


def _read(folder: Path) -> Native:
    if (folder / TOKENIZER_FILE).is_file():
        return _read_json(folder)
    for place in (folder, folder / gpt2_bpe.NAME):
        if (place / gpt2_bpe.FILES[0]).is_file():
            for name in gpt2_bpe.FILES:
                if not (place / name).is_file():
                    raise UserError(f"{place / name} is missing: a vocabulary of RoBERTa's is the three files "
                                    f"{', '.join(gpt2_bpe.FILES)}")
            return gpt2_bpe.read_fairseq(place)
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return gpt2_bpe.read_hub(folder)
    if (folder / "vocab.txt").is_file():
        return wordpiece.read(folder, _settings(folder))
    if (folder / "spiece.model").is_file():
        return sentencepiece.read(folder, _settings(folder))
    raise UserError(f"no vocabulary in {folder}: it is to hold tokenizer.json, vocab.txt, spiece.model, vocab.json and "
                    f"merges.txt, or {', '.join(gpt2_bpe.FILES)} (these also in a folder {gpt2_bpe.NAME}/ of it); "
                    f"`python -m preprocess.download --vocab --out {folder}` fetches RoBERTa's")


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UserError(f"{path} is no JSON object")
    return settings


def _read_json(folder: Path) -> Native:
    """The Hub's form. A dict.txt beside it, as ``save`` leaves it, has the dictionary's words, fillers included."""
    path = folder / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"{path} is no tokenizer of the Hugging Face Hub: {error}") from error
    kind = type(tokenizer.model).__name__
    if kind not in KINDS:
        raise UserError(f"{path} is a {kind} tokenizer: choose from {', '.join(KINDS)}")
    native = KINDS[kind](tokenizer, str(path))
    if not (folder / DICTIONARY_FILE).is_file():
        return native
    return _with_fillers(native, folder / DICTIONARY_FILE)


def _with_fillers(native: Native, path: Path) -> Native:
    symbols, text = read_symbols(path)
    known = len(native.symbols)
    if symbols[:known] != native.symbols or not all(map(FILLER.fullmatch, symbols[known:])):
        raise UserError(f"{path} does not go along with {TOKENIZER_FILE} beside it: convert the checkpoint again")
    beyond = range(len(native.native_ids), len(native.native_ids) + len(symbols) - known)
    return replace(native, symbols=symbols, native_ids=[*native.native_ids[:-1], *beyond, native.native_ids[-1]],
                   dictionary_text=text)
