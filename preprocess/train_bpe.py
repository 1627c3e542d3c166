"""Train a small byte-level BPE in the format of RoBERTa's vocabulary.

``encoder.json`` (token to id) and ``vocab.bpe`` (the merges, in order) are GPT-2's formats. ``dict.txt`` is fairseq's:
a line "ID COUNT" for each id, the most frequent in the text first, as in RoBERTa's. All 256 bytes have a token, so that
any text can be encoded. The same text gives the same files.
"""

import json
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer

BYTES = len(ByteLevel.alphabet())


def train_bpe(sentences: list[str], folder: Path, size: int) -> None:
    """Writes ``encoder.json``, ``vocab.bpe`` and ``dict.txt`` to the existing ``folder``.

    The vocabulary has ``size`` tokens, or fewer where the text has no more pairs to merge. Raises ValueError for a
    ``size`` below 256, the number of bytes.
    """
    if size < BYTES:
        raise ValueError(f"{size} tokens do not hold the {BYTES} bytes that every vocabulary starts from")
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=size, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = [" ".join(pair) for pair in model["merges"]]
    counts = Counter(i for encoding in tokenizer.encode_batch(sentences) for i in encoding.ids)
    ids = sorted(model["vocab"].values(), key=lambda i: (-counts[i], i))
    (folder / "encoder.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (folder / "vocab.bpe").write_text("".join(line + "\n" for line in ["#version: 0.2", *merges]), encoding="utf-8")
    (folder / "dict.txt").write_text("".join(f"{i} {counts[i]}\n" for i in ids), encoding="utf-8")
