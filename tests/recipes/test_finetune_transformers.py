"""Tests of recipes/finetune_transformers.sh: mistakes are told before it trains."""

import pytest

from fairseq_palbert.errors import UserError

pytest.importorskip("transformers", reason="needs recipes/requirements-benchmark.txt")
from recipes import finetune_transformers  # noqa: E402


@pytest.fixture(autouse=True)
def untrained(monkeypatch, tmp_path):
    """An encoder's folder in PRETRAINED; neither the data nor the encoder is read."""
    (tmp_path / "config.json").touch()
    monkeypatch.setenv("PRETRAINED", str(tmp_path))
    for name in ("SentenceTask", "AutoTokenizer"):
        monkeypatch.setattr(finetune_transformers, name, None)


@pytest.mark.parametrize("flag, value, said", [
    ("--epochs", "0", "at least 1"), ("--epochs", "-1", "at least 1"), ("--lr", "-0.1", "at least 0"),
    ("--seed", "-1", "at least 0"), ("--seed", str(2**64), "at most"),
])
def test_a_number_out_of_range_is_refused(flag, value, said):
    with pytest.raises(UserError, match=f"{flag} {value}: .*{said}"):
        finetune_transformers.main(["RTE", "--data", "data", "--split", "valid", flag, value])


def test_a_split_without_labels_is_refused():
    with pytest.raises(UserError, match="--split test: RTE has no labels of it: choose from train, valid"):
        finetune_transformers.main(["RTE", "--data", "data"])


def test_a_split_without_its_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=f"{tmp_path}"):
        finetune_transformers.main(["RTE", "--data", "data", "--raw", str(tmp_path), "--split", "valid"])
