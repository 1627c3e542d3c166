"""Tests of flags: fairseq's own parser accepts those of the families and methods."""

import shlex

import pytest

METHODS = ("pondernet", "pabee", "uniform", "deebert", "fastbert", "berxit", "static3")
BERT = {"pretrained": "a/b"}
VARIATIONS = {
    "tiny": {}, "workers": {"cpu_workers": 2, "max_epoch": 2},
    "large from scratch": {"arch": "palbert_roberta_large", "pretrained": "none"},
    "extra": {"extra_train_flags": ["--lambda-module", "rnn", "--as-released"], "select_on": "holdout"},
    "RoBERTa": {"arch": "palbert_roberta_base"}, "MPNet": {"arch": "palbert_mpnet_base"},
    "BERT": {**BERT, "train_examples": 50, "fresh_heads": True},
    "vanilla MiniLM": {"arch": "palbert_bert_minilm_l6", "method": "vanilla"},
    "PALBERT's ALBERT": {"arch": "palbert_albert_base", "seeds": [1, 2, 3, 4, 5]},
    "MNLI": {"task": "MNLI"},
    **{method: {**BERT, "method": method} for method in METHODS},
    **{method: {**BERT, "method": method, "first_run": "first"} for method in ("palbert_staged", "berxit_staged")},
}


@pytest.mark.parametrize("values", VARIATIONS.values(), ids=VARIATIONS)
def test_fairseq_parses_every_flag(experiment, stand_in, first_run, values):
    from fairseq import options

    stand_in.arch = values.get("arch", "palbert_bert_base")
    second_phase = values.get("method") in ("deebert", "fastbert")
    run_dir = experiment(**({"first_run": str(first_run)} if second_phase else {}), stop_stage=4, **values)
    command = shlex.split((run_dir / "seed1" / "command").read_text())
    parsed = options.parse_args_and_arch(options.get_training_parser(), command[1:])
    assert parsed.glue_task == values.get("task", "RTE") and parsed.optimizer == "ponder_adam"
    converted = bool(stand_in.find("checkpoints.convert"))
    assert parsed.arch == (stand_in.arch if converted else values.get("arch", "palbert_roberta_tiny"))
    assert bool(parsed.finetune_from_model) == converted
    if converted:
        assert parsed.encoder_layers == (3 if values.get("method") == "static3" else 7)
    assert getattr(parsed, "freeze_backbone", False) == second_phase
    if second_phase:
        assert parsed.finetune_from_model == str(first_run / "seed1" / "checkpoints" / "checkpoint_best.pt")
    selected_on = ("loss", False) if second_phase or "first_run" in values else ("score", True)
    assert (parsed.best_checkpoint_metric, getattr(parsed, "maximize_best_checkpoint_metric", False)) == selected_on
