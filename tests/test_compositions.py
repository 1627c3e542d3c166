"""Tests of the fixture that lets Hydra compose once: a configuration is that of fairseq's own call."""

import warnings

import fairseq.dataclass.utils
import pytest
from fairseq import options

PALBERT = ["--task", "glue", "--glue-task", "RTE", "--criterion", "ponder_classification"]
FLAGS = {
    "values of every kind": [*PALBERT, "--arch", "palbert_roberta_tiny", "--optimizer", "ponder_adam",
                             "--lr", "[0.1, 1]", "--lr-scheduler", "polynomial_decay", "--total-num-update", "9",
                             "--cpu", "--seed", "7", "--save-dir", "a 'b' = c.d", "--adam-betas", "(0.8, 0.9)"],
    "other choices": [*PALBERT, "--arch", "palbert_bert_tiny", "--optimizer", "sgd"],
    "a model without dataclass": ["--arch", "fconv", "--task", "translation"],
}


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
def test_a_configuration_is_fairseqs(flags, monkeypatch):
    def configuration():
        arguments = options.parse_args_and_arch(options.get_training_parser(), ["data", *flags])
        with warnings.catch_warnings(action="ignore"):
            return fairseq.dataclass.utils.convert_namespace_to_omegaconf(arguments)

    ours = [configuration(), configuration()]
    monkeypatch.setattr(fairseq.dataclass.utils, "compose", fairseq.dataclass.utils.compose.real)
    assert ours == [configuration()] * 2
