"""Tests of recipes/benchmark.sh: programs agree before they are timed; ratios are right."""

import json

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.rules.fixed import Fixed
from fairseq_palbert.inference.engine import Workload, decide
from recipes.benchmark.drawn import Drawn
from recipes.benchmark.ours import random_network, ready
from recipes.benchmark.stock import stock_roberta
from recipes.benchmark.targets import targets
from recipes.benchmark.variants import Sentences, ours, padded_exits, stock

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = random_network(vocabulary=60, layers=3, hidden=64, outputs=2)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


@pytest.fixture(scope="module")
def sentences():
    generator = torch.Generator().manual_seed(1)
    return Sentences([torch.randint(3, 60, (length,), generator=generator) for length in (9, 1, 30, 4, 4, 17) * 8], CPU)


def test_fairseqs_own_model_with_our_weights_gives_our_answers(network, sentences):
    expected = decide(network, Fixed(3), Workload(sentences.tokens))
    decided = stock(stock_roberta(network), sentences, depth=3)
    torch.testing.assert_close(decided.outputs, expected.outputs, rtol=0, atol=1e-5)
    assert expected.outputs.std() > 0.1, "answers are to depend on the sentence"


def test_all_programs_agree(network, sentences, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs recipes/requirements-benchmark.txt")
    from recipes.benchmark.hub import HubModel, onnx_session
    from recipes.benchmark.variants import exiting, full_depth

    hub, engine, rule = HubModel(network, "roberta", tmp_path), ready(network, "float32", CPU), Drawn(0.4, 3)
    full = full_depth(network, hub, stock_roberta(network), onnx_session(hub, tmp_path, 1), engine, sentences)
    early = exiting(network, hub, engine, sentences, rule)
    assert len(full) == 9 and len(early) == 8
    for variants, rule_of in ((full, Fixed(3)), (early, rule)):
        expected = ours(network, sentences, rule_of, None)
        for name, variant in variants.items():
            decided = variant()
            assert decided.exit_layers.equal(expected.exit_layers), name
            torch.testing.assert_close(decided.outputs, expected.outputs, rtol=0, atol=1e-4, msg=name)
    assert padded_exits(network, hub, sentences, rule, True, drops=True).exit_layers.double().std() > 0.5


def test_padding_ratios(sentences):
    assert sentences.padding_ratio(by_length=False) == pytest.approx(48 * 30 / (8 * 65))
    assert 1 < sentences.padding_ratio(by_length=True) < sentences.padding_ratio(by_length=False)


def test_the_stated_distribution_has_its_mean():
    drawn = Drawn(0.14, 12).start(torch.arange(100_000))
    assert drawn.min() == 1 and drawn.max() == 12
    assert drawn.double().mean().item() == pytest.approx((1 - 0.86**12) / 0.14, abs=0.03)


def test_ratios_beside_their_bounds():
    seconds = {"a: fairseq, file order": 10, "b: transformers, by length": 4, "c: one at a time": 4,
               "d: padded, waiting, file order": 8, "e: padded, dropping, by length": 3,
               "f: ONNX Runtime, by length": 3,
               "g: full depth, packed": 4, "g: full depth, packed, bfloat16": 2, "g: full depth, packed, int8": 2.5,
               "g: full depth, batch 1": 6, "g: exiting, packed": 2, "g: exiting, batch 1": 4,
               "g: full depth, packed, first pooling": 4, "g: full depth, packed, mean pooling": 4.04,
               "g: exiting, packed, first pooling": 2, "g: exiting, packed, mean pooling": 2.1}
    found = {"median_seconds": seconds, "padding_ratio": {"file order": 2, "by length": 1.25}, "peak_flops": 1000,
             "operations": {"full": 3600, "exiting": 1800}}
    by_name = {target["name"]: target for target in targets(found)}
    assert json.dumps(list(by_name.values()))
    values = [round(target["value"], 3) for target in by_name.values()]
    assert values == [1.25, 0.8, 0.9, 1.0, 0.75, 2.0, 2.0, 1.5, 0.75, 1.01, 1.05, 2.0, 1.6]
    missed = [values[i] for i, target in enumerate(by_name.values()) if not target["met"]]
    assert missed == [0.8, 0.75, 0.75, 1.05, 2.0]
    assert [target["bound"] for target in by_name.values()][3:5] == [0.97, 0.95]
    del seconds["a: fairseq, file order"]
    assert [target["name"] for target in targets(found)] == list(by_name)[1:]


def test_the_whole_command_times_what_it_has_compared(make_toy_data, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="needs recipes/requirements-benchmark.txt")
    from recipes.benchmark.__main__ import main

    make_toy_data(tmp_path / "SST-2", "SST-2")
    flags = ["--sentences", "6", "--layers", "2", "--hidden", "64", "--rounds", "1"]
    main(["--data", str(tmp_path / "SST-2"), "--out", str(tmp_path / "out"), *flags])
    found = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert sorted({name[0] for name in found["median_seconds"]}) == list("abcdefg")
    assert all(len(taken) == 1 and taken[0] > 0 for taken in found["seconds"].values())
    assert capsys.readouterr().out == (tmp_path / "out" / "benchmark.md").read_text() + "\n"
    assert (tmp_path / "out" / "benchmark.png").stat().st_size > 1000


@pytest.mark.parametrize("flags, said", [
    (["--sentences", "0"], "--sentences 0: at least 1"),
    (["--rounds", "0"], "--rounds 0: at least 1"),
    (["--hidden", "100"], "--hidden 100: a multiple of 64"),
])
def test_mistakes_are_told_in_a_line(tmp_path, flags, said):
    pytest.importorskip("onnxruntime", reason="needs recipes/requirements-benchmark.txt")
    from recipes.benchmark.__main__ import main

    with pytest.raises(UserError, match=said):
        main(["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out"), *flags])
    assert not (tmp_path / "out").exists()
