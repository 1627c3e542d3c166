"""Tests of ``--criterion multi_exit_classification``: loss, logs, gradients and refusals."""

import itertools
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from torch.nn import functional as F

from fairseq_palbert.criterions.multi_exit_classification import (
    LAYER_WEIGHTS,
    MultiExitClassification,
    MultiExitClassificationConfig,
    layer_weights,
)
from fairseq_palbert.definitions.metrics import References
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier

DEPTH, BATCH = 5, 6
CLASSES = torch.tensor([0, 1, 1, 0, 1, 0])
SCORES = torch.tensor([0.0, 5, 2.5, 1, 3, 4], dtype=torch.float64)
NO_LAMBDA = {"lambda_module": "none"}


@pytest.fixture
def make_criterion(make_task):
    def make(weights="last", name="SST-2", **options):
        config = OmegaConf.structured(MultiExitClassificationConfig(layer_weights=weights, **options))
        return MultiExitClassification(config, make_task(name))

    return make


def test_the_weights_are_those_of_their_sources():
    assert layer_weights("linear", 4).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert layer_weights("uniform", 4).tolist() == [0.25] * 4
    assert layer_weights("last", 4).tolist() == [0, 0, 0, 1]
    assert all(layer_weights(scheme, 7).sum() == pytest.approx(1) for scheme in LAYER_WEIGHTS)


def plain_loss(output, target, regression):
    if regression:
        return (output.double() - target).item() ** 2
    return -output.double().log_softmax(0)[target].item()


@pytest.mark.parametrize("name, targets", [("SST-2", CLASSES), ("STS-B", SCORES)])
@pytest.mark.parametrize("weights, of_layer", [
    ("last", lambda n: n == DEPTH), ("uniform", lambda n: 1 / DEPTH),
    ("linear", lambda n: 2 * n / (DEPTH * (DEPTH + 1)))])
def test_the_loss_equals_a_nested_loop(make_criterion, make_model, make_sample, name, targets, weights, of_layer):
    task = packaged_task(name)
    model = make_model(task.outputs, **NO_LAMBDA)
    loss, sample_size, log = make_criterion(weights, name)(model, make_sample(targets))
    expected = sum(of_layer(n) * plain_loss(model.logits[n - 1, i], targets[i], task.regression)
                   for n in range(1, DEPTH + 1) for i in range(BATCH))
    assert loss.item() == pytest.approx(expected, rel=1e-5) and sample_size == BATCH
    assert log["loss"] == loss and not log["loss"].requires_grad


@pytest.mark.parametrize("name, targets, by_layer",
                         [("SST-2", CLASSES, "accuracy"), ("STS-B", SCORES, "squared_error")])
def test_logs_are_means_per_sentence_and_metrics_those_of_the_last_layer(make_criterion, make_model, make_sample,
                                                                         logged,
                                                                         name, targets, by_layer):
    criterion = make_criterion("linear", name)
    models = [make_model(packaged_task(name).outputs, seed, **NO_LAMBDA) for seed in (1, 2)]
    logs = [criterion(model, make_sample(targets))[2] for model in models]
    together, singly = logged(criterion, logs), [logged(criterion, [log]) for log in logs]
    assert set(together) == {"loss"} | {f"{by_layer}_{n}" for n in range(1, DEPTH + 1)}
    assert together == pytest.approx({key: (singly[0][key] + singly[1][key]) / 2 for key in together})
    for log, model in zip(logs, models):
        expected = criterion.task.metrics.statistics(model.logits[-1].detach(), References(targets),
                                                     torch.arange(BATCH), BATCH)
        assert torch.equal(log["statistics"], expected)


def test_last_is_the_ordinary_fine_tuned_encoder(make_criterion, make_sample, make_model):
    model = make_model(2, **NO_LAMBDA)
    loss, _, _ = make_criterion("last")(model, make_sample(CLASSES))
    loss.backward()
    logits = model.logits[-1].detach().requires_grad_()
    F.cross_entropy(logits, CLASSES, reduction="sum").backward()
    torch.testing.assert_close(model.logits.grad[-1], logits.grad)
    assert not model.logits.grad[:-1].any() and model.halting_logits.grad is None


def test_every_other_update_of_training_is_the_last_layers_alone(make_criterion, make_sample, make_model):
    model, sample = make_model(2, **NO_LAMBDA), make_sample(CLASSES)
    last, uniform = (make_criterion(weights)(model, sample)[0] for weights in ("last", "uniform"))
    criterion = make_criterion("uniform", alternate_last=True)
    losses = []
    for criterion.updates in range(4):
        losses.append(criterion(model, sample)[0])
    assert losses == [last, uniform, last, uniform]
    criterion.updates = 0
    assert criterion.eval()(model, sample)[0] == uniform


PER_LAYER = ("per_layer_pooler", "per_layer_classifier")
TRAINABLE = [(weights, dict(zip(PER_LAYER, switches))) for weights in LAYER_WEIGHTS
             for switches in itertools.product((False, True), repeat=2) if weights != "last" or not any(switches)]


@pytest.mark.parametrize("weights, switches", TRAINABLE)
def test_one_backward_reaches_every_parameter(make_criterion, weights, switches):
    shape = EncoderShape(vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=3, hidden=8,
                         ffn_hidden=12,
                         heads=2)
    network = PonderingClassifier(Encoder(shape), HeadsShape(outputs=2, **NO_LAMBDA, **switches))

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, src_tokens):
            return self.network(src_tokens)

    sample = {"net_input": {"src_tokens": torch.randint(3, 17, (6, 9))}, "target": CLASSES, "id": torch.arange(6),
              "examples": 6, "nsentences": 6, "ntokens": 54}
    make_criterion(weights)(Model(), sample)[0].backward()
    untouched = [name for name, parameter in network.named_parameters()
                 if parameter.grad is None or not parameter.grad.any()]
    assert not untouched


def test_a_lambda_module_is_refused(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="add --lambda-module none"):
        make_criterion()(make_model(2), make_sample(CLASSES))


@pytest.mark.parametrize("switch", PER_LAYER)
def test_heads_that_last_would_not_train_are_refused(make_criterion, make_model, make_sample, switch):
    model = make_model(2, **NO_LAMBDA, **{switch: True})
    with pytest.raises(UserError, match=f"drop --{switch.replace('_', '-')}"):
        make_criterion("last")(model, make_sample(CLASSES))
    make_criterion("uniform")(model, make_sample(CLASSES))


def test_another_task_and_unlabelled_data_are_refused(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="--criterion multi_exit_classification needs --task glue"):
        MultiExitClassification(OmegaConf.structured(MultiExitClassificationConfig()), SimpleNamespace())
    sample = make_sample(CLASSES)
    del sample["target"]
    with pytest.raises(UserError, match="no labels"):
        make_criterion()(make_model(2, **NO_LAMBDA), sample)
