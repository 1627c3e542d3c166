"""Tests of what is refused before training starts, and of what fairseq then reads."""

import logging
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from fairseq import checkpoint_utils, tasks

from fairseq_palbert.errors import UserError
from tests.fixtures.processes import run_python

RESETS = ("--reset-optimizer", "--reset-dataloader", "--reset-meters")


@pytest.fixture(scope="module")
def stock_files(make_stock, save_stock, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stock")
    return {form: save_stock(make_stock(), folder / f"{form}.pt", old=form == "old") for form in ("new", "old")}


@pytest.mark.parametrize("form", ["new", "old"])
@pytest.mark.parametrize("flags", [("--finetune-from-model",), (*RESETS, "--restore-file")])
def test_fairseq_reads_the_file_as_plain_data(build, stock_files, tmp_path, form, flags):
    model = build(*flags, stock_files[form], "--save-dir", tmp_path)
    state = checkpoint_utils.load_checkpoint_to_cpu(str(stock_files[form]), load_on_all_ranks=True)
    assert not {"args", "cfg"} & state.keys() and state["extra_state"]["train_iterator"]["epoch"] == 7
    model.load_state_dict(state["model"])
    assert Namespace not in torch.serialization.get_safe_globals()


@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file", "--continue-once"])
def test_a_missing_file_is_refused(build, tmp_path, flag):
    with pytest.raises(UserError, match=f"{flag} .*gone.pt: there is no such file"):
        build(flag, tmp_path / "gone.pt", "--save-dir", tmp_path)


def test_a_run_resumes_though_the_file_it_started_from_is_gone(build, save_own, tmp_path):
    save_own(tmp_path / "checkpoint_last.pt")
    model = build("--finetune-from-model", tmp_path / "gone.pt", "--save-dir", tmp_path)
    assert model.starting_point.name == str(tmp_path / "checkpoint_last.pt") and model.starting_point.heads is None


def test_restore_file_says_that_it_does_not_resume(build, stock_files, save_own, tmp_path, caplog):
    save_own(tmp_path / "checkpoint_last.pt")
    with caplog.at_level(logging.WARNING):
        build(*RESETS, "--restore-file", stock_files["new"], "--save-dir", tmp_path)
    assert "checkpoint_last.pt is ignored: --restore-file starts every launch over" in caplog.text


@pytest.mark.parametrize("content, reason", [
    (b"", "cannot be read as a checkpoint"),
    (b"some text, no checkpoint at all", "cannot be read as a checkpoint"),
    (b"PK\x03\x04 the head of an archive", "cannot be read as a checkpoint"),
    ({"weights": 1}, "is not a fairseq checkpoint: it has no 'model'"),
    ([1, 2], "is not a fairseq checkpoint: it has no 'model'"),
])
def test_a_file_that_is_no_checkpoint_is_refused(build, tmp_path, content, reason):
    path = tmp_path / "bad.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=f"--finetune-from-model .*bad.pt {reason}"):
        build("--finetune-from-model", path, "--save-dir", tmp_path)


@pytest.mark.parametrize("form", ["new", "old"])
@pytest.mark.parametrize("kept", [0.1, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(build, stock_files, tmp_path, form, kept):
    content = stock_files[form].read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[:int(kept * len(content))])
    with pytest.raises(UserError, match="cut.pt cannot be read as a checkpoint"):
        build("--finetune-from-model", tmp_path / "cut.pt", "--save-dir", tmp_path)


def test_a_checkpoint_of_another_shape_is_refused_before_anything_is_trained(build, stock_files, tmp_path):
    with pytest.raises(UserError, match="--finetune-from-model .* network.encoder.embed_tokens.weight is 55 x 16"):
        build("--finetune-from-model", stock_files["old"], "--encoder-embed-dim", 32, "--save-dir", tmp_path)


@pytest.mark.parametrize("change, message", [
    (lambda state: state["cfg"]["model"].update(pooling="${oc.env:HOME}"), "pooling is '..oc.env:HOME"),
    (lambda state: state["cfg"]["model"].update(per_layer_pooler="yes"), "per_layer_pooler is 'yes'"),
    (lambda state: state["cfg"]["model"].update(encoder_layers="__import__('os')"), "encoder-layers __import__"),
    (lambda state: state["cfg"]["task"].update(holdout_fraction="1 or x"), "holdout_fraction is '1 or x'"),
    (lambda state: state["cfg"].update(task=["glue"], criterion=7), "was trained without --holdout-fraction"),
    (lambda state: state["model"]["network.pooler.copies.0.bias"].fill_(float("nan")), "NaN or infinite"),
    (lambda state: state["model"].update({"network.pooler.copies.0.bias": "x"}), "no plain tensor"),
])
def test_the_starting_file_is_data(build, save_own, tmp_path, change, message):
    path = save_own(tmp_path / "model.pt")
    state = torch.load(path)
    change(state)
    torch.save(state, path)
    with pytest.raises(UserError, match=message):
        build("--finetune-from-model", path, "--train-only", "lambda", "--save-dir", tmp_path / "new")


@pytest.mark.parametrize("form", ["new", "old"])
def test_settings_that_no_tensor_shows_must_match(build, stock_files, tmp_path, form):
    start = ("--finetune-from-model", stock_files[form], "--save-dir", tmp_path)
    with pytest.raises(UserError, match="--encoder-attention-heads 2, which this run sets to 4"):
        build(*start, "--encoder-attention-heads", 4)
    with pytest.raises(UserError, match="--activation-fn gelu, which this run sets to relu"):
        build(*start, "--activation-fn", "relu")


def test_a_stock_checkpoint_by_restore_file_needs_the_resets(build, stock_files, tmp_path):
    message = "is an encoder without a classifier: add --reset-optimizer --reset-dataloader --reset-meters"
    with pytest.raises(UserError, match=message):
        build("--restore-file", stock_files["new"], "--save-dir", tmp_path)


def test_an_encoder_of_ours_without_classifier_starts_training_as_a_stock_one_does(build, save_own, tmp_path):
    path = save_own(tmp_path / "encoder.pt")
    state = torch.load(path)
    state["model"] = {name: tensor for name,
                      tensor in state["model"].items() if ".encoder." in name or ".pooler." in name}
    torch.save(state, path)
    with pytest.raises(UserError, match="is an encoder without a classifier: add --reset-optimizer"):
        build("--restore-file", path, "--save-dir", tmp_path)
    for flags in (("--finetune-from-model", path), ("--restore-file", path, *RESETS)):
        assert "pooler" in build(*flags, "--save-dir", tmp_path).starting_point.heads


@pytest.mark.parametrize("theirs, ours", [("roberta", "bert"), ("bert", "albert"), ("albert", "roberta")])
def test_an_encoder_of_another_family_is_refused(build, save_own, tmp_path, theirs, ours):
    path = save_own(tmp_path / "model.pt", "--arch", f"palbert_{theirs}")
    with pytest.raises(UserError, match=f"is a {theirs}, but --arch names a {ours}: choose a palbert_{theirs} of its "
                                        "size"):
        build("--finetune-from-model", path, "--save-dir", tmp_path, "--arch", f"palbert_{ours}")


def test_a_stock_roberta_is_no_bert(build, stock_files, tmp_path):
    with pytest.raises(UserError, match="is a roberta, but --arch names a bert"):
        build("--finetune-from-model", stock_files["old"], "--save-dir", tmp_path, "--arch", "palbert_bert")


def test_layers_that_share_their_weights_are_counted_all_the_same(build, save_own, tmp_path):
    path = save_own(tmp_path / "model.pt", "--encoder-groups", 1)
    with pytest.raises(UserError, match="--encoder-layers 3, which this run sets to 2"):
        build("--finetune-from-model", path, "--save-dir", tmp_path, "--encoder-groups", 1, "--encoder-layers", 2)


def test_fresh_heads_leave_those_of_the_other_model(build, save_own, tmp_path):
    path = save_own(tmp_path / "model.pt")
    assert build("--finetune-from-model", path, "--save-dir", tmp_path, "--fresh-heads").starting_point.heads == ()


def test_resuming_with_another_lambda_module_is_refused_and_finetuning_drops_it(build, save_own, tmp_path):
    """Input ``diff`` over two layers back has the same shapes as ``concat`` over one."""
    other = ("--lambda-input", "diff", "--lambda-lookback", 2)
    path = save_own(tmp_path / "checkpoint_last.pt", *other)
    with pytest.raises(UserError, match="was made with --lambda-input diff, which this run sets to concat"):
        build("--save-dir", tmp_path)
    start = ("--finetune-from-model", path, "--save-dir", tmp_path / "new")
    assert build(*start).starting_point.heads == ("pooler", "layer_embedding", "learned_exit")
    assert build(*start, *other).starting_point.heads == ("pooler", "lambda_module", "layer_embedding", "learned_exit")


def test_resuming_in_another_precision_is_refused(build, save_own, tmp_path):
    save_own(tmp_path / "checkpoint_last.pt")
    with pytest.raises(UserError, match="checkpoint_last.pt was made with --bf16 False, which this run sets to True"):
        build("--bf16", "--save-dir", tmp_path)
    build("--bf16", "--reset-optimizer", "--save-dir", tmp_path)


def test_reading_a_checkpoint_to_evaluate_it_asks_nothing_of_the_start(configure, tmp_path):
    cfg = configure("--finetune-from-model", tmp_path / "gone.pt", "--save-dir", tmp_path)
    task = tasks.setup_task(cfg.task)
    assert task.build_model(cfg.model, from_checkpoint=True).starting_point.heads is None


@pytest.mark.parametrize("flags, reason", [
    (("--amp",), "--amp does nothing on the CPU"),
    (("--fp16",), "--fp16 joins all gradients .* on the CPU use --bf16 or add --fp16-no-flatten-grads"),
    (("--fp16", "--amp"), "--fp16 and --amp contradict each other"),
    (("--distributed-world-size", 2), "several workers on the CPU need --ddp-backend legacy_ddp"),
])
def test_what_the_device_cannot_do_is_refused(build, tmp_path, flags, reason):
    with pytest.raises(UserError, match=reason):
        build(*flags, "--save-dir", tmp_path)


@pytest.mark.parametrize("flags", [("--bf16",), ("--memory-efficient-bf16",), ("--fp16", "--fp16-no-flatten-grads")])
def test_what_the_device_can_do_is_accepted(build, tmp_path, flags):
    build(*flags, "--save-dir", tmp_path)


def test_several_workers_need_to_read_a_checkpoint_each(build, stock_files, tmp_path):
    start = ("--finetune-from-model", stock_files["new"], "--save-dir", tmp_path, "--distributed-world-size", 2,
             "--ddp-backend", "legacy_ddp")
    with pytest.raises(UserError, match="several workers need --load-checkpoint-on-all-dp-ranks"):
        build(*start)
    build(*start, "--load-checkpoint-on-all-dp-ranks")


def test_fairseqs_own_recipe_trains_from_an_old_archive(data, stock_files, tmp_path):
    """``fairseq-train`` runs with --restore-file and the three resets, and writes a checkpoint without code in it."""
    run = run_python(
        [Path(sys.executable).with_name("fairseq-train"), data, "--user-dir", "fairseq_palbert", "--cpu",
         "--task", "glue", "--glue-task", "RTE", "--arch", "palbert_roberta_tiny",
         "--encoder-layers", "3", "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "24",
         "--encoder-attention-heads", "2", "--criterion", "ponder_classification", "--optimizer", "adam", "--lr", "0",
         "--batch-size", "32", "--max-update", "1", "--disable-validation", "--save-dir", tmp_path,
         "--restore-file", stock_files["old"], *RESETS])
    assert run.returncode == 0, run.stderr[-3000:]
    assert (run.stdout + run.stderr).count("loaded: encoder; dropped: decoder.lm_head; initialised afresh:") == 1
    weights = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)["model"]
    stock = torch.load(stock_files["new"], weights_only=False)["model"]
    for name in ("embed_tokens.weight", "layers.2.fc2.bias"):
        assert torch.equal(weights[f"network.encoder.{name}"], stock[f"encoder.sentence_encoder.{name}"])
