"""Tests of damaged vocabularies: refused in one line, or still usable."""

import json
import random
import shutil
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.library_errors import refused

from ..fixtures.mutations import mutated

SENTENCES = ["the cat sat on w3 w7", "naïve 語 (w1) w29", ""]


def write_sentencepiece(folder: Path, characters: bytes = b"") -> None:
    """Writes a spiece.model with ``characters``, the normaliser's map: the size of a trie and the trie."""
    folder.mkdir()
    model = ModelProto()
    for piece, kind in (("<pad>", 3), ("<unk>", 2), ("[CLS]", 3), ("[SEP]", 3), ("[MASK]", 3), ("(", 4), ("▁", 1),
                        ("▁the", 1), *((letter, 1) for letter in "acehnostw123")):
        model.pieces.add(piece=piece, score=-1.0, type=kind)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.precompiled_charsmap = characters
    (folder / "spiece.model").write_bytes(model.SerializeToString())
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true, "keep_accents": false}')


@pytest.fixture(scope="module")
def folders(write_vocabulary, tmp_path_factory):
    base = tmp_path_factory.mktemp("vocabularies")
    for family in ("bert", "mpnet", "albert", "roberta"):
        write_vocabulary(family, base / family)
        (base / f"{family} saved").mkdir()
        Vocabulary(base / family).save(base / f"{family} saved")
    write_sentencepiece(base / "sentencepiece")
    return sorted(base.iterdir())


@given(st.data())
def test_any_change_of_a_file(folders, tmp_path_factory, data):
    folder = shutil.copytree(data.draw(st.sampled_from(folders)), tmp_path_factory.mktemp("mutated") / "vocabulary")
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    path.write_bytes(data.draw(mutated(path.read_bytes())))
    try:
        vocabulary = Vocabulary(folder)
    except UserError as error:
        assert "\n" not in str(error)
        return
    assert all(0 <= ids.min() and ids.max() < len(vocabulary) for ids in vocabulary.encode(SENTENCES))
    assert len(vocabulary.record["sha256"]) == 64


def renamed(tokenizer: dict) -> None:
    tokenizer["model"]["unk_token"] = "[UNKNOWN]"


def another_piece(tokenizer: dict) -> None:
    tokenizer["model"]["unk_token"] = "the"


def not_of_the_model(tokenizer: dict) -> None:
    """The piece is still there, as an added token."""
    vocab = tokenizer["model"]["vocab"]
    last = max(vocab, key=vocab.get)
    added, vocab[last] = vocab[last], vocab.pop("[UNK]")
    tokenizer["added_tokens"] = [{"id": added, "content": "[UNK]", "single_word": False, "lstrip": False,
                                  "rstrip": False, "normalized": False, "special": True}]


@pytest.mark.parametrize("damage", [renamed, another_piece, not_of_the_model])
@pytest.mark.parametrize("family", ["bert", "mpnet"])
def test_a_word_piece_tokenizer_without_its_unknown_piece_is_refused(folders, tmp_path, family, damage):
    [saved] = [folder for folder in folders if folder.name == f"{family} saved"]
    path = shutil.copytree(saved, tmp_path / "vocabulary") / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    damage(tokenizer)
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(UserError, match="tokenizer.json is damaged: pieces it does not know become"):
        Vocabulary(path.parent)


@pytest.mark.parametrize("seed", [243, 245, 247])
def test_a_panic_of_the_library_is_one_line(tmp_path, seed):
    """The trie has random bytes, and the Rust library reads beyond its end."""
    drawn = random.Random(seed)
    size = drawn.choice([4, 8, 64, 256])
    write_sentencepiece(tmp_path / "vocabulary", struct.pack("<I", size) + drawn.randbytes(size + 4))
    with pytest.raises(UserError, match="damaged"):
        Vocabulary(tmp_path / "vocabulary")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_a_process_passes_through(error):
    with pytest.raises(error), refused("spiece.model is damaged"):
        raise error
