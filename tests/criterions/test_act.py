"""Tests of ``--criterion act`` against a loop over examples: loss, logs and refusals."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.criterions.act import Act, ActConfig
from fairseq_palbert.errors import UserError

DEPTH, BATCH = 5, 6
CLASSES = torch.tensor([0, 1, 1, 0, 1, 0])
SCORES = torch.tensor([0.0, 5, 2.5, 1, 3, 4], dtype=torch.float64)


@pytest.fixture
def make_criterion(make_task):
    def make(name="SST-2", **options):
        return Act(OmegaConf.structured(ActConfig(**options)), make_task(name))

    return make


def expected_sums(model, targets, loss_of, tau, epsilon):
    """Loss, N(t) and R(t) summed over the batch, example by example (arXiv 1603.08983, section 2), in Python floats."""
    total, steps, remainders = 0.0, 0, 0.0
    for i in range(BATCH):
        units = [1 / (1 + math.exp(-model.halting_logits[n, i].item())) for n in range(DEPTH - 1)]
        last = next((n for n in range(1, DEPTH) if sum(units[:n]) >= 1 - epsilon), DEPTH)
        remainder = 1 - sum(units[:last - 1])
        answer = sum(units[n] * model.logits[n, i].double() for n in range(last - 1)) + (
            remainder * model.logits[last - 1, i].double())
        total += loss_of(answer, targets[i]) + tau * (last + remainder)
        steps, remainders = steps + last, remainders + remainder
    return total, steps, remainders


@pytest.mark.parametrize("name, targets, loss_of", [
    ("SST-2", CLASSES, lambda answer, target: -answer.log_softmax(0)[target].item()),
    ("STS-B", SCORES, lambda answer, target: (answer - target).item() ** 2),
])
def test_loss_and_steps_equal_the_loop(make_criterion, make_model, make_sample, name, targets, loss_of):
    model = make_model(1 if name == "STS-B" else 2)
    model.halting_logits.data -= 1
    loss, sample_size, log = make_criterion(name, ponder_cost=0.2, act_epsilon=0.05)(model, make_sample(targets))
    expected, steps, remainder = expected_sums(model, targets, loss_of, 0.2, 0.05)
    assert loss.item() == pytest.approx(expected, rel=1e-5) and sample_size == BATCH
    assert log["steps"] == steps and BATCH < steps < BATCH * DEPTH
    assert log["remainder"].item() == pytest.approx(remainder, rel=1e-5)
    assert log["ponder_cost"].item() == pytest.approx(steps + remainder, rel=1e-5)
    assert log["p"].sum() == pytest.approx(BATCH, abs=1e-5)


def test_the_metrics_are_those_of_the_mean_field_answer(make_criterion, make_model, make_sample):
    """Two steps of weight 1/2 have logits (1, −1) and (−3, 3): their mean is right, the first step alone is wrong."""
    model = make_model(2)
    model.halting_logits.data.fill_(0)  # h = 1/2, 1/2: N = 2, R = 1/2
    model.logits.data[0] = torch.tensor([1.0, -1.0])
    model.logits.data[1:] = torch.tensor([-3.0, 3.0])
    criterion = make_criterion()
    log = criterion(model, make_sample(torch.ones_like(CLASSES)))[2]
    assert log["accuracy"].tolist() == [0, 6, 6, 6, 6]
    assert criterion.task.metrics(log["statistics"])["accuracy"] == 1
    assert log["p"].tolist() == pytest.approx([3, 3, 0, 0, 0])


def test_logs_of_two_batches_are_those_of_both_together(make_criterion, make_model, make_sample, logged):
    criterion = make_criterion()
    logs = [criterion(make_model(2, seed), make_sample(CLASSES))[2] for seed in (1, 2)]
    singly, together = [logged(criterion, [log]) for log in logs], logged(criterion, logs)
    names = {"loss", "task_loss", "ponder_cost", "steps", "remainder"}
    assert set(together) == names | {f"{kind}_{n}" for kind in ("p", "accuracy") for n in range(1, DEPTH + 1)}
    assert together == pytest.approx({key: (singly[0][key] + singly[1][key]) / 2 for key in together})


@pytest.mark.parametrize("options, reason", [
    ({"ponder_cost": -1}, "--ponder-cost -1"), ({"act_epsilon": 0}, "--act-epsilon 0"),
    ({"act_epsilon": 1}, "--act-epsilon 1"), ({"distill_weight": 0.5}, "--distill-weight teaches"),
])
def test_contradictory_options_are_refused(make_criterion, options, reason):
    with pytest.raises(UserError, match=reason):
        make_criterion(**options)


def test_a_model_without_halting_units_is_refused(make_criterion, make_model, make_sample):
    with pytest.raises(UserError, match="--lambda-module none has none: choose --arch act_rnn"):
        make_criterion()(make_model(2, lambda_module="none"), make_sample(CLASSES))
