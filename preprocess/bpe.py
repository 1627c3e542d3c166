"""RoBERTa's byte-level BPE: sentences to the ids of fairseq's dictionary, by Hugging Face ``tokenizers``.

The ids are those of fairseq's ``GPT2BPE.encode`` followed by ``Dictionary.encode_line``, many times faster.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from fairseq.data import Dictionary
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel

from fairseq_palbert.errors import UserError

NAME = "gpt2_bpe"
FILES = ("encoder.json", "vocab.bpe", "dict.txt")


class Vocabulary:
    """The three files of a vocabulary, loaded; ``folder`` holds them itself or in its folder ``gpt2_bpe``.

    Raises UserError where a file is missing or not what its name says.
    """

    def __init__(self, folder: str | Path):
        self.folder = _find(Path(folder))
        self.dictionary = _dictionary(self.folder / "dict.txt")
        self._tokenizer, size = _tokenizer(self.folder / "encoder.json", self.folder / "vocab.bpe")
        # dict.txt names a BPE piece by its number in encoder.json; a piece that it lacks becomes <unk>, as in fairseq
        self._fairseq_id = np.array([self.dictionary.index(str(piece)) for piece in range(size)])
        if (self._fairseq_id == self.dictionary.unk()).all():
            raise UserError(f"{self.folder / 'dict.txt'} names no piece of encoder.json: give the one that goes along")

    def encode(self, sentences: Sequence[str]) -> list[np.ndarray]:
        """Dictionary ids of each sentence, with ``</s>`` at the end and no ``<s>``. Outer white space is dropped."""
        encodings = self._tokenizer.encode_batch_fast([sentence.strip() for sentence in sentences])
        pieces = [encoding.ids for encoding in encodings]
        ids = self._fairseq_id[np.fromiter(chain.from_iterable(pieces), dtype=np.int64)]
        ends = np.cumsum([len(sentence) for sentence in pieces], dtype=np.int64)
        # each </s> goes behind its sentence's last piece: ids [a b c], ends [2 3] -> [a b </s> c </s>]
        with_eos = np.insert(ids, ends, self.dictionary.eos())
        return np.split(with_eos, ends + np.arange(1, len(pieces) + 1))[:-1]

    def sha256(self) -> dict[str, str]:
        return {name: hashlib.sha256((self.folder / name).read_bytes()).hexdigest() for name in FILES}


def _find(folder: Path) -> Path:
    for candidate in (folder, folder / NAME):
        if (candidate / FILES[0]).is_file():
            break
    else:
        raise UserError(f"no vocabulary in {folder}: --vocab (default $VOCAB_DIR) is the folder of "
                        f"{', '.join(FILES)}, or the one above {NAME}/; "
                        f"`python -m preprocess.download --vocab --out {folder}` fetches RoBERTa's")
    for name in FILES:
        if not (candidate / name).is_file():
            raise UserError(f"{candidate / name} is missing: a vocabulary is the three files {', '.join(FILES)}")
    return candidate


def _dictionary(path: Path) -> Dictionary:
    try:
        return Dictionary.load(str(path))
    except Exception as error:  # fairseq raises a bare Exception for wrong encoding, and others for wrong lines
        raise UserError(f"{path} is no fairseq dictionary: {error}") from error


def _tokenizer(encoder: Path, merges: Path) -> tuple[Tokenizer, int]:
    """The tokenizer and the number of ids that its table of fairseq ids needs."""
    try:
        ids = json.loads(encoder.read_text(encoding="utf-8"))
        missing = [symbol for symbol in ByteLevel.alphabet() if symbol not in ids]
        if missing:
            raise UserError(f"{encoder} is no byte-level BPE: it has no piece for {len(missing)} of the 256 bytes")
        # the first line names the version and nothing follows the last line's end, as fairseq reads it
        pairs = [tuple(line.split()) for line in merges.read_text(encoding="utf-8").split("\n")[1:-1]]
        tokenizer = Tokenizer(BPE(vocab=ids, merges=pairs))
    except UserError:
        raise
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(f"{encoder} and {merges.name} are no byte-level BPE: {error}") from error
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    return tokenizer, max(ids.values()) + 1
