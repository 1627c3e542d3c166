"""Tests of optional losses: distillation from the last layer, and the learned-exit head's."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.criterions.multi_exit_classification import MultiExitClassification, MultiExitClassificationConfig
from fairseq_palbert.criterions.ponder_classification import PonderClassification, PonderClassificationConfig
from fairseq_palbert.errors import UserError

DEPTH, BATCH = 5, 6
TARGETS = {"SST-2": torch.tensor([0, 1, 1, 0, 1, 0]), "STS-B": torch.tensor([0.0, 5, 2.5, 1, 3, 4])}
OUTPUTS = {"SST-2": 2, "STS-B": 1}


@pytest.fixture
def make_criterion(make_task):
    """make_criterion(name, ponder, options...) returns a ponder criterion, or one of uniform layer weights."""

    def make(name="SST-2", ponder=False, **options):
        if ponder:
            return PonderClassification(OmegaConf.structured(PonderClassificationConfig(**options)), make_task(name))
        config = MultiExitClassificationConfig(layer_weights="uniform", **options)
        return MultiExitClassification(OmegaConf.structured(config), make_task(name))

    return make


def plain_softmax(row, temperature):
    weights = [math.exp(value / temperature) for value in row]
    return [weight / sum(weights) for weight in weights]


def plain_kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q))


@pytest.mark.parametrize("kl", ["teacher_student", "student_teacher"])
@pytest.mark.parametrize("weight, temperature", [(1.0, 1.0), (0.3, 2.5)])
def test_the_last_layer_teaches_the_others(make_criterion, make_model, make_sample, kl, weight, temperature):
    model = make_model(2, lambda_module="none")
    options = {"distill_weight": weight, "distill_temperature": temperature, "distill_kl": kl}
    loss, _, _ = make_criterion(**options)(model, make_sample(TARGETS["SST-2"]))
    expected = 0.0
    for n, layer in enumerate(model.logits.double().tolist(), start=1):
        for row, taught_by, target in zip(layer, model.logits[-1].double().tolist(), TARGETS["SST-2"].tolist()):
            hard = -math.log(plain_softmax(row, 1)[target])
            student, teacher = plain_softmax(row, temperature), plain_softmax(taught_by, temperature)
            pair = (teacher, student) if kl == "teacher_student" else (student, teacher)
            soft = temperature**2 * plain_kl(*pair)
            expected += (hard if n == DEPTH else (1 - weight) * hard + weight * soft) / DEPTH
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ponder", [False, True])
def test_the_teacher_learns_nothing_from_its_students(make_criterion, make_model, make_sample, ponder):
    model = make_model(2, lambda_module="mlp" if ponder else "none")
    alone, taught = (make_criterion(ponder=ponder, distill_weight=weight)(model, make_sample(TARGETS["SST-2"]))[0]
                     for weight in (0.0, 1.0))
    last = [torch.autograd.grad(loss, model.logits)[0][-1] for loss in (alone, taught)]
    assert last[0].any()
    torch.testing.assert_close(*last)


def test_a_regression_is_taught_the_last_value(make_criterion, make_model, make_sample):
    model = make_model(1, lambda_module="none")
    loss, _, _ = make_criterion("STS-B", distill_weight=1.0)(model, make_sample(TARGETS["STS-B"]))
    values = model.logits.squeeze(-1)
    expected = ((values[:-1] - values[-1]) ** 2).sum() + ((values[-1] - TARGETS["STS-B"]) ** 2).sum()
    assert loss.item() == pytest.approx(expected.item() / DEPTH, rel=1e-5)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("ponder", [False, True])
def test_the_learned_exit_is_taught_the_error_of_each_layer(make_criterion, make_model, make_sample, logged, name,
                                                            ponder):
    heads = {"lambda_module": "mlp" if ponder else "none"}
    criterion, sample = make_criterion(name, ponder), make_sample(TARGETS[name])
    without, _, _ = criterion(make_model(OUTPUTS[name], **heads), sample)
    model = make_model(OUTPUTS[name], **heads, learned_exit=True)
    loss, _, log = criterion(model, sample)
    expected = 0.0
    for n in range(DEPTH - 1):
        for row, logit, target in zip(model.logits[n].tolist(), model.error_logits[n].tolist(), TARGETS[name].tolist()):
            error = abs(math.tanh(row[0] - target)) if name == "STS-B" else float(row.index(max(row)) != target)
            expected += (1 / (1 + math.exp(-logit)) - error) ** 2 / (DEPTH - 1)
    assert (loss - without).item() == pytest.approx(expected, rel=1e-4)
    assert logged(criterion, [log])["exit_loss"] == pytest.approx(expected / BATCH, rel=1e-5)
    with_head, = torch.autograd.grad(loss, model.logits, retain_graph=True)
    plain = make_model(OUTPUTS[name], **heads)
    torch.testing.assert_close(with_head, torch.autograd.grad(criterion(plain, sample)[0], plain.logits)[0])


@pytest.mark.parametrize("option, value",
                         [("distill_weight", 1.5), ("distill_weight", -0.1), ("distill_temperature", 0.0),
                                           ("freelb_steps", -1), ("freelb_lr", 0.0), ("freelb_norm", float("inf"))])
def test_values_out_of_range_are_refused(make_criterion, option, value):
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')} {value}: "):
        make_criterion(**{option: value})
