"""Tests of recipes/benchmark_training.sh: its steps of both models, and its flags."""

import json

import pytest

from fairseq_palbert.errors import UserError
from recipes import benchmark_training

TINY = ["--steps", "2", "--warm-up", "1", "--batch", "2", "--tokens", "8", "--layers", "2"]
NARROW = ("--encoder-embed-dim", "8", "--encoder-ffn-embed-dim", "8", "--encoder-attention-heads", "1")


def test_both_models_are_timed(monkeypatch, capsys):
    monkeypatch.setattr(benchmark_training, "VOCABULARY", 100)
    for model in ("STOCK", "OURS"):
        monkeypatch.setattr(benchmark_training, model, getattr(benchmark_training, model) + NARROW)
    benchmark_training.main(TINY)
    said = capsys.readouterr()
    measured = json.loads(said.out)
    assert said.err.count("round ") == 6, "three rounds of two models"
    for what in ("seconds", "processor_seconds"):
        assert {name: len(taken) for name, taken in measured[what].items()} == {"stock": 2, "palbert": 2}
        assert measured[f"median_{what}"].keys() == {"stock", "palbert"} and measured[f"ratio_of_{what}"]["palbert"] > 0
    assert measured["parameters"]["palbert"] > 0 and (measured["batch"], measured["layers"]) == (2, 2)


@pytest.mark.parametrize("flag, value, said", [
    ("--steps", "0", "at least 1"), ("--warm-up", "-1", "at least 0"), ("--batch", "0", "at least 1"),
    ("--tokens", "0", "at least 1"), ("--tokens", "513", "at most 512"), ("--layers", "1", "at least 2"),
    ("--seed", "-1", "at least 0"), ("--seed", str(2**64), "at most"),
])
def test_a_count_out_of_range_is_refused(flag, value, said):
    with pytest.raises(UserError, match=f"{flag} {value}: .*{said}"):
        benchmark_training.main([*TINY, flag, value])
