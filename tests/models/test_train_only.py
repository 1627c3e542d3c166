"""Tests of ``--train-only lambda``: only the lambda module of a trained model is trained."""

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.models import pooled_states
from fairseq_palbert.models.pooled_states import PooledStates

HOLDOUT = ("--holdout-fraction", "0.3")
GATE = ("--train-only", "lambda", "--lambda-reads", "both", "--lambda-width", "6", "--lambda-depth", "1",
        "--train-subset", "gate",
        *HOLDOUT)


@pytest.fixture
def second(build, save_own, tmp_path):
    """second(first-phase flags, second-phase flags) returns the second phase's model and the weights it starts from."""

    def start(first=(), flags=()):
        path = save_own(tmp_path / "first.pt", *HOLDOUT, *first)
        model = build("--finetune-from-model", path, "--save-dir", tmp_path / "new", *GATE, *flags)
        state = torch.load(path, weights_only=False)["model"]
        model.load_state_dict(dict(state))
        return model, state

    return start


@pytest.fixture
def built(configure, save_own, tmp_path):
    """built(flags) returns the second phase's model as fairseq builds it, without a call of train() or eval()."""
    from fairseq import tasks

    def build(*flags):
        cfg = configure("--finetune-from-model", save_own(tmp_path / "first.pt", *HOLDOUT), "--save-dir",
                        tmp_path / "new", *GATE, *flags)
        return tasks.setup_task(cfg.task).build_model(cfg.model)

    return build


def sentences(count=7):
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(4, 9, (length,), generator=generator) for length in range(1, count + 1)]


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence(rows, True, 1)


@pytest.mark.parametrize("first", [(), ("--pooling", "mean"), ("--per-layer-classifier", "--per-layer-pooler"),
                                   ("--lambda-module", "linear"), ("--learned-exit",)])
def test_all_but_the_lambda_module_is_the_first_phases(second, first):
    model, state = second(first)
    ours = model.state_dict()
    kept = {name for name in state if "lambda_module" not in name}
    assert kept == {name for name in ours if "lambda_module" not in name}
    assert all(torch.equal(ours[name], state[name]) for name in kept)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all(".lambda_module." in name for name in trained)
    assert model.network.heads_shape.pooling == ("mean" if "mean" in first else "first")


def test_a_gate_can_be_put_on_a_model_that_has_none(second):
    model, state = second(("--lambda-module", "none", "--per-layer-classifier"))
    assert model.network.halts and not any("lambda_module" in name for name in state)
    assert len(model.network.classifier.copies) == 3


@pytest.mark.parametrize("mode", ["as built", "training", "evaluation"])
def test_the_kept_vectors_have_no_dropout(built, mode):
    """fairseq begins the first epoch with the model as it was built."""
    model = built("--dropout", "0.5", "--attention-dropout", "0.5", "--classifier-dropout", "0.5")
    if mode != "as built":
        model.train(mode == "training")
    model.begin_epoch(sentences())
    with torch.no_grad():
        exact = model.network.eval().pooled(model.network.padded(padded(sentences())))
    torch.testing.assert_close(model.pooled_states.of(padded(sentences())), exact, rtol=0, atol=1e-6)


def test_what_is_frozen_has_no_dropout(second):
    model, _ = second((), ("--dropout", "0.5", "--classifier-dropout", "0.5", "--lambda-dropout", "0.5"))
    model.train()
    tokens = padded(sentences())
    one, other = model(tokens), model(tokens)
    assert torch.equal(one.logits, other.logits)
    assert not torch.equal(one.halting_logits, other.halting_logits), "the lambda module's own dropout stays"


def test_the_answers_are_those_of_the_whole_network(second):
    model, _ = second(("--pooling", "mean"))
    rows = sentences()
    model.begin_epoch(rows[2:])
    with torch.no_grad():
        ours, whole = model(padded(rows)), model.network(padded(rows))
    torch.testing.assert_close(ours.logits, whole.logits, rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.halting_logits, whole.halting_logits, rtol=0, atol=1e-6)


def test_a_sentence_is_computed_once(second, monkeypatch):
    model, _ = second()
    model.begin_epoch(sentences())
    with monkeypatch.context() as patch:
        patch.setattr(model.network, "pooled", None)  # must not be called again
        model.begin_epoch(sentences())
        model(padded(sentences()[::-1]))


def test_memory_is_bounded(second, monkeypatch):
    monkeypatch.setattr(pooled_states, "LARGEST_BYTES", 0)
    monkeypatch.setattr(pooled_states, "TOKENS_AT_ONCE", 5)
    model, _ = second()
    states = PooledStates(model.network)
    states.prepare(sentences())
    kept = len(states.by_tokens)
    assert 0 < kept < 7
    with torch.no_grad():
        whole = model.network.pooled(model.network.padded(padded(sentences())))
    torch.testing.assert_close(states.of(padded(sentences())), whole, rtol=0, atol=1e-6)
    assert len(states.by_tokens) == kept


def test_the_next_run_takes_them_from_a_file(second, monkeypatch, tmp_path):
    file = ("--pooled-states", tmp_path / "pooled.safetensors")
    model, _ = second((), file)
    model.begin_epoch(sentences())
    expected = model.pooled_states.of(padded(sentences()))
    again, _ = second((), file)
    with monkeypatch.context() as patch:
        patch.setattr(again.network, "pooled", None)  # must not be called
        again.begin_epoch(sentences())
        assert torch.equal(again.pooled_states.of(padded(sentences())), expected)


@pytest.mark.parametrize("damage", ["other weights", "truncated", "empty"])
def test_a_file_of_something_else_is_written_anew(second, tmp_path, damage):
    path = tmp_path / "pooled.safetensors"
    model, _ = second((), ("--pooled-states", path))
    model.begin_epoch(sentences())
    again, _ = second((), ("--pooled-states", path))
    if damage == "other weights":
        again.network.pooler.copies[0].bias.data += 1
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "truncated" else b"")
    again.begin_epoch(sentences())
    with torch.no_grad():
        whole = again.network.pooled(again.network.padded(padded(sentences())))
    torch.testing.assert_close(again.pooled_states.of(padded(sentences())), whole, rtol=0, atol=1e-6)
    third = PooledStates(again.network, again.pooled_states.frozen, path)
    third._read()
    assert len(third.by_tokens) == 7


def test_a_file_that_cannot_be_written_is_told_in_a_line(second, tmp_path):
    model, _ = second((), ("--pooled-states", tmp_path / "no" / "folder"))
    with pytest.raises(UserError, match="no/folder: cannot be written"):
        model.begin_epoch(sentences())


@pytest.mark.parametrize("flags, message", [
    (("--pooled-states", "file"), "--pooled-states keeps what a frozen model computes: add --train-only lambda"),
    (("--train-only", "encoder"), "--train-only encoder: choose from lambda"),
    (("--train-only", "lambda"), "--train-only lambda keeps a trained model as it is, and there is none to start from"),
    (("--train-only", "lambda", "--lambda-module", "none"), "--train-only changes a lambda module, and --lambda-module "
                                                            "none has none"),
    (("--train-only", "lambda", "--freeze-backbone"), "--train-only and --freeze-backbone name different parts"),
    (("--lambda-reads", "labels"), "--lambda-reads labels: choose from pooled, answers, both"),
    (("--lambda-width", "0"), "--lambda-width 0: at least 1"),
    (("--lambda-reads", "answers", "--lambda-layer-embedding"), "--lambda-layer-embedding is added to the pooled "
                                                                "vector"),
])
def test_contradictions_are_refused(build, flags, message):
    with pytest.raises(UserError, match=message):
        build(*flags)


def test_a_model_whose_early_layers_do_not_answer_is_refused(build, save_own, tmp_path):
    path = save_own(tmp_path / "vanilla.pt", *HOLDOUT, "--lambda-module", "none")
    state = torch.load(path, weights_only=False)
    state["cfg"]["criterion"] = {"_name": "multi_exit_classification", "layer_weights": "last"}
    torch.save(state, path)
    with pytest.raises(UserError, match="was trained for its last layer alone"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", *GATE)


def test_an_encoder_without_heads_is_refused(build, make_stock, save_stock, tmp_path):
    path = save_stock(make_stock(), tmp_path / "stock.pt")
    with pytest.raises(UserError, match="was trained without --holdout-fraction"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", *GATE)


@pytest.mark.parametrize("held_out, flags, message", [
    ((), (), "was trained without --holdout-fraction, and a lambda module learns nothing on rows that the layers have "
             "seen"),
    (HOLDOUT, ("--holdout-fraction", "0.4"), "has held out: add --train-subset gate --holdout-fraction 0.3"),
    (HOLDOUT, ("--train-subset", "train"), "has held out: add --train-subset gate --holdout-fraction 0.3"),
    (HOLDOUT, ("--train-subset", "holdout"), "has held out: add --train-subset gate --holdout-fraction 0.3"),
])
def test_rows_that_the_layers_have_seen_are_refused(build, save_own, tmp_path, held_out, flags, message):
    path = save_own(tmp_path / "first.pt", *held_out)
    with pytest.raises(UserError, match=message):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", *GATE, *flags)


@pytest.mark.parametrize("held_out, earlier", [((), "0"), (HOLDOUT, "0.3")])
def test_rows_that_choose_thresholds_are_to_be_new_to_any_start(build, save_own, tmp_path, held_out, earlier):
    start = "--finetune-from-model", save_own(tmp_path / "first.pt", *held_out), "--save-dir", tmp_path / "new"
    with pytest.raises(UserError, match="first.pt was trained on rows that --holdout-fraction 0.4 holds out: train it "
                                        f"with that flag too, or leave it at {earlier}"):
        build(*start, "--holdout-fraction", "0.4")
    build(*start, *held_out)
    build(*start)
