"""Every flag that recipes/glue_task.sh passes is one that fairseq's own parser takes, with all families and methods."""

import shlex
from pathlib import Path

import pytest

METHODS = ("pondernet", "pabee", "uniform", "deebert", "fastbert", "berxit", "static3")

VARIATIONS = {
    "tiny": {}, "workers": {"CPU_WORKERS": "2", "MAX_EPOCH": "2"},
    "large from scratch": {"ARCH": "palbert_roberta_large", "PRETRAINED": "none"},
    "extra": {"EXTRA_TRAIN_FLAGS": "--lambda-module rnn --as-released", "SELECT_ON": "holdout"},
    "RoBERTa": {"PRETRAINED": "a/b", "CONVERTED_ARCH": "palbert_roberta_base"},
    "BERT": {"PRETRAINED": "a/b", "CONVERTED_ARCH": "palbert_bert_base", "TRAIN_EXAMPLES": "50", "FRESH_HEADS": "1"},
    "MPNet": {"PRETRAINED": "a/b", "CONVERTED_ARCH": "palbert_mpnet_base"},
    "vanilla MiniLM": {"PRETRAINED": "a/b", "CONVERTED_ARCH": "palbert_bert_minilm_l6", "METHOD": "vanilla"},
    "PALBERT's ALBERT": {"ARCH": "palbert_albert_base", "CONVERTED_ARCH": "palbert_albert_base", "SEEDS": "1 2 3 4 5"},
    **{method: {"PRETRAINED": "a/b", "CONVERTED_ARCH": "palbert_bert_base", "METHOD": method} for method in METHODS},
}


@pytest.mark.parametrize("task, variables", [("RTE", variables) for variables in VARIATIONS.values()] + [("MNLI", {})],
                         ids=[*VARIATIONS, "MNLI"])
def test_fairseq_parses_every_flag(run_recipe, environment, tmp_path, task, variables):
    from fairseq import options

    vanilla = tmp_path / "first phase"
    (vanilla / "stages").mkdir(parents=True)
    (vanilla / "stages" / "train-seed1.done").touch()
    variables = {**variables, "VANILLA_RUN": str(vanilla)}
    run = run_recipe("glue_task.sh", task, TRAIN_FAILS="enough", **variables)
    assert "enough" in run.stderr, run.stderr
    command = shlex.split((Path(environment["RUN_DIR"]) / "seed1" / "command").read_text())
    parsed = options.parse_args_and_arch(options.get_training_parser(), command[1:])
    assert parsed.glue_task == task and parsed.optimizer == "ponder_adam"
    assert parsed.arch.startswith(variables.get("CONVERTED_ARCH", "palbert_roberta"))
    assert bool(parsed.finetune_from_model) == ("CONVERTED_ARCH" in variables)
    if "CONVERTED_ARCH" in variables:
        assert parsed.encoder_layers == (3 if variables.get("METHOD") == "static3" else 7)
    follows = str(parsed.finetune_from_model) == str(vanilla / "seed1" / "checkpoints" / "checkpoint_best.pt")
    selected_on = ("loss", False) if follows else ("score", True)
    assert (parsed.best_checkpoint_metric, getattr(parsed, "maximize_best_checkpoint_metric", False)) == selected_on
    assert follows == getattr(parsed, "freeze_backbone", False) == (variables.get("METHOD") in ("deebert", "fastbert"))
