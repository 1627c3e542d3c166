"""Tests of ``--criterion ponder_classification``: loss, logs and refusals."""

import math
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.criterions.ponder_classification import PonderClassification, PonderClassificationConfig
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError

DEPTH, BATCH = 5, 6


@pytest.fixture
def make_criterion(make_task):
    def make(name="SST-2", **options):
        return PonderClassification(OmegaConf.structured(PonderClassificationConfig(**options)), make_task(name))

    return make


CLASSES = torch.tensor([0, 1, 1, 0, 1, 0])
SCORES = torch.tensor([0.0, 5, 2.5, 1, 3, 4], dtype=torch.float64)


def expected_sums(model, targets, loss_of, beta, lambda_p, threshold, layer_cost=0.0):
    """Returns loss, depth and exit layers by nested loops over the paper's formulas, in Python floats."""
    total, depth, exits = 0.0, 0.0, []
    for i in range(BATCH):
        survived, cdf, left = 1.0, 0.0, None
        for n in range(1, DEPTH + 1):
            halting = 1.0 if n == DEPTH else torch.sigmoid(model.halting_logits[n - 1, i].double()).item()
            prior = (1 - lambda_p) ** (n - 1) * (1.0 if n == DEPTH else lambda_p)
            p = survived * halting
            total += p * (loss_of(model.logits[n - 1, i], targets[i]) + layer_cost * n) + beta * p * math.log(p / prior)
            depth += n * p
            survived *= 1 - halting
            cdf += p
            if left is None and (cdf > threshold or n == DEPTH):
                left = n
        exits.append(left)
    return total, depth, exits


def cross_entropy(logits, target):
    return -logits.double().log_softmax(0)[target].item()


def squared_error(output, target):
    return (output.double() - target).item() ** 2


@pytest.mark.parametrize("name, targets, loss_of",
                         [("SST-2", CLASSES, cross_entropy), ("STS-B", SCORES, squared_error)])
def test_loss_and_exits_equal_a_nested_loop(make_criterion, make_model, make_sample, name, targets, loss_of):
    model = make_model(packaged_task(name).outputs)
    criterion = make_criterion(name, beta=0.3, prior_lambda=0.2, q_exit_threshold=0.6)
    loss, sample_size, log = criterion(model, make_sample(targets))
    expected, depth, exits = expected_sums(model, targets, loss_of, 0.3, 0.2, 0.6)
    assert loss.item() == pytest.approx(expected, rel=1e-5) and sample_size == BATCH
    assert log["q_exit_depth"] == sum(exits)
    assert log["posterior_depth"] == pytest.approx(depth, rel=1e-5)
    assert log["p"].sum() == pytest.approx(BATCH, abs=1e-5)


def wrong(logits, target):
    return float(logits.argmax() != target)


def squared_error_over_variance(output, target):
    return squared_error(output, target) / 3  # the task's target_variance


@pytest.mark.parametrize("name, targets, loss_of",
                         [("SST-2", CLASSES, wrong), ("STS-B", SCORES, squared_error_over_variance)])
def test_halting_may_weigh_errors_and_a_cost_a_layer(make_criterion, make_model, make_sample, name, targets, loss_of):
    model = make_model(packaged_task(name).outputs)
    model.cfg.train_only = "lambda"
    criterion = make_criterion(name, beta=0.3, prior_lambda=0.2, halting_target="error", layer_cost=0.07)
    loss, _, log = criterion(model, make_sample(targets))
    expected, depth, _ = expected_sums(model, targets, loss_of, 0.3, 0.2, 0.5, layer_cost=0.07)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert log["posterior_depth"] == pytest.approx(depth, rel=1e-5)
    loss.backward()
    assert model.halting_logits.grad[:-1].abs().min() > 0


def test_errors_train_no_layers(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="--halting-target error gives the layers no gradient: add --train-only lambda"):
        make_criterion(halting_target="error")(make_model(2), make_sample(CLASSES))
    with pytest.raises(UserError, match="--layer-cost -1"):
        make_criterion(layer_cost=-1)


def test_the_default_prior_parameter_follows_the_depth(make_criterion):
    assert make_criterion().objective(12).lambda_p == pytest.approx(0.1)
    assert 0.159 < make_criterion().objective(6).lambda_p <= 0.206
    assert make_criterion(prior_lambda=0.3).objective(6).lambda_p == 0.3


def test_as_released_sets_the_three_departures_of_the_published_code(make_criterion, make_model, make_sample):
    by_one_flag = make_criterion(as_released=True).objective(DEPTH)
    one_by_one = make_criterion(kl_direction="prior_posterior", posterior_remainder="none", halting_epsilon=0.05)
    assert by_one_flag == one_by_one.objective(DEPTH) != make_criterion().objective(DEPTH)
    model = make_model(2)
    make_criterion(as_released=True)(model, make_sample(CLASSES))[0].backward()
    assert model.halting_logits.grad[-1].abs().sum() > 0, "the published code reads the last halting logit"


def test_the_second_normalisation_reads_the_last_halting_logit(make_criterion, make_model, make_sample):
    model = make_model(2)
    loss, _, log = make_criterion(posterior_remainder="renormalise")(model, make_sample(CLASSES))
    loss.backward()
    assert model.halting_logits.grad[-1].abs().sum() > 0
    assert log["p"].sum() == pytest.approx(BATCH, abs=1e-5)


@pytest.mark.parametrize("name, targets, by_layer",
                         [("SST-2", CLASSES, "accuracy"), ("STS-B", SCORES, "squared_error")])
def test_logs_of_two_batches_are_those_of_both_together(make_criterion, make_model, make_sample, logged, name, targets,
                                                         by_layer):
    criterion = make_criterion(name)
    logs = [criterion(make_model(packaged_task(name).outputs, seed), make_sample(targets))[2] for seed in (1, 2)]
    singly = [logged(criterion, [log]) for log in logs]
    together = logged(criterion, logs)
    names = {"loss", "task_loss", "kl", "posterior_depth", "q_exit_depth"}
    assert set(together) == names | {f"{kind}_{n}" for kind in ("p", by_layer) for n in range(1, DEPTH + 1)}
    assert together == pytest.approx({key: (singly[0][key] + singly[1][key]) / 2 for key in together})
    assert all(type(value) is float for value in together.values())


def test_half_precision_outputs_give_a_float32_loss(make_criterion, make_model, make_sample):
    model = make_model(2).bfloat16()
    exact = make_model(2)
    exact.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    losses = [make_criterion()(each, make_sample(CLASSES))[0] for each in (model, exact)]
    assert losses[0].dtype == torch.float32 and torch.equal(*losses)


WRONG = {
    "--beta -1": {"beta": -1},
    "--prior-lambda 1": {"prior_lambda": 1.0},
    "--q-exit-threshold 2": {"q_exit_threshold": 2},
    "--halting-epsilon 1": {"halting_epsilon": 1},
    "acts only with --posterior-remainder none": {"halting_epsilon": 0.05},
    "--halting-epsilon acts only with": {"halting_epsilon": 0.05, "posterior_remainder": "renormalise"},
    "--distill-weight teaches by the layers' losses": {"distill_weight": 0.9, "halting_target": "error"},
}
NUMBERS = ("beta", "prior_lambda", "layer_cost", "q_exit_threshold", "halting_epsilon", "distill_weight",
           "distill_temperature", "freelb_lr", "freelb_norm")


@pytest.mark.parametrize("reason", WRONG)
def test_contradictory_options_are_refused(make_criterion, reason):
    with pytest.raises(UserError, match=reason):
        make_criterion(**WRONG[reason])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_that_are_not_finite_are_refused(make_criterion, name, value):
    with pytest.raises(UserError, match=f"--{name.replace('_', '-')} {value}: "):
        make_criterion(**{name: value})


def test_every_number_of_the_options_is_tested():
    assert {field.name for field in fields(PonderClassificationConfig) if "float" in str(field.type)} == set(NUMBERS)


def test_a_model_without_a_lambda_module_is_refused(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="--lambda-module none has none: choose another, or --criterion multi_exit"):
        make_criterion()(make_model(2, lambda_module="none"), make_sample(CLASSES))


def test_another_task_and_unlabelled_data_are_refused(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="needs --task glue"):
        PonderClassification(OmegaConf.structured(PonderClassificationConfig()), SimpleNamespace())
    sample = make_sample(CLASSES)
    del sample["target"]
    with pytest.raises(UserError, match="no labels"):
        make_criterion()(make_model(2), sample)
