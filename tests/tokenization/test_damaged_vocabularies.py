"""A changed file of a vocabulary is refused in one line, or is another vocabulary that works."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary

from ..fixtures.mutations import mutated

SENTENCES = ["the cat sat on w3 w7", "naïve 語 (w1) w29", ""]


def write_sentencepiece(folder: Path) -> None:
    folder.mkdir()
    model = ModelProto()
    for piece, kind in (("<pad>", 3), ("<unk>", 2), ("[CLS]", 3), ("[SEP]", 3), ("[MASK]", 3), ("(", 4), ("▁", 1),
                        ("▁the", 1), *((letter, 1) for letter in "acehnostw123")):
        model.pieces.add(piece=piece, score=-1.0, type=kind)
    model.normalizer_spec.name = "identity"
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
