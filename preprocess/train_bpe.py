"""A small byte-level BPE of one's own text, as the three files that RoBERTa's vocabulary comes in.

``encoder.json`` (token to id) and ``vocab.bpe`` (the merges, in order) are GPT-2's formats, and ``dict.txt`` is fairseq's:
one line an id, "ID COUNT", the most frequent in the text first, as in RoBERTa's own. All 256 bytes are in, so that any text
can be encoded. The same text gives the same files.
"""

import argparse
import json
import os
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

from fairseq_palbert.errors import UserError

BYTES = len(ByteLevel.alphabet())


def train_bpe(sentences: list[str], folder: Path, size: int) -> None:
    """Write ``encoder.json``, ``vocab.bpe`` and ``dict.txt`` to ``folder``: ``size`` tokens, or fewer where the text has no
    more pairs to merge. Raises UserError for a size that does not hold the 256 bytes."""
    if size < BYTES:
        raise UserError(f"--size {size} does not hold the {BYTES} bytes that every vocabulary starts from: ask for more")
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [" ".join(pair) for pair in model["merges"]]
    counts = Counter(i for encoding in tokenizer.encode_batch(sentences) for i in encoding.ids)
    ids = sorted(model["vocab"].values(), key=lambda i: (-counts[i], i))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "encoder.json", json.dumps(model["vocab"]))
    _write(folder / "vocab.bpe", "".join(line + "\n" for line in ["#version: 0.2", *merges]))
    _write(folder / "dict.txt", "".join(f"{i} {counts[i]}\n" for i in ids))


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _column(path: Path, name: str) -> list[str]:
    """The fields of one column of a TSV with a header line."""
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    columns = header.split("\t")
    if name not in columns:
        raise UserError(f"{path} has no column {name!r}: choose from {', '.join(columns)}")
    return [row.split("\t")[columns.index(name)] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m preprocess.train_bpe", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="TSV with a header line")
    parser.add_argument("--column", default="sentence", help="the column to train on (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for encoder.json, vocab.bpe and dict.txt")
    parser.add_argument("--size", type=int, default=512, help="tokens, the 256 bytes included (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        train_bpe(_column(arguments.text, arguments.column), arguments.out, arguments.size)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}") from error


if __name__ == "__main__":
    main()
