import math
from types import SimpleNamespace

import pytest
import torch
from fairseq import metrics
from omegaconf import OmegaConf

from fairseq_palbert.criterions.ponder_classification import PonderClassification, PonderClassificationConfig
from fairseq_palbert.errors import UserError
from fairseq_palbert.glue.metrics import GlueMetrics
from fairseq_palbert.glue.tasks import glue_task
from fairseq_palbert.modules.pondering import PonderOutput

DEPTH, BATCH = 5, 6


def make_criterion(name="SST-2", **options):
    task = SimpleNamespace(glue_task=glue_task(name), metrics=GlueMetrics(glue_task(name)))
    return PonderClassification(OmegaConf.structured(PonderClassificationConfig(**options)), task)


class FixedModel(torch.nn.Module):
    """Gives the same output whatever it is asked."""

    def __init__(self, outputs, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.logits = torch.nn.Parameter(torch.randn(DEPTH, BATCH, outputs, generator=generator))
        self.halting_logits = torch.nn.Parameter(torch.randn(DEPTH, BATCH, generator=generator))

    def forward(self, halt_at_last):
        return PonderOutput(self.logits, self.halting_logits if halt_at_last else self.halting_logits[:-1])


def make_sample(targets):
    return {"net_input": {}, "target": targets, "id": torch.arange(BATCH), "examples": BATCH, "nsentences": BATCH, "ntokens": 9}


CLASSES = torch.tensor([0, 1, 1, 0, 1, 0])
SCORES = torch.tensor([0.0, 5, 2.5, 1, 3, 4], dtype=torch.float64)


def expected_sums(model, targets, loss_of, beta, lambda_p, threshold):
    """Nested loops over the paper's formulas, in Python floats."""
    total, depth, exits = 0.0, 0.0, []
    for i in range(BATCH):
        survived, cdf, left = 1.0, 0.0, None
        for n in range(1, DEPTH + 1):
            halting = 1.0 if n == DEPTH else torch.sigmoid(model.halting_logits[n - 1, i].double()).item()
            prior = (1 - lambda_p) ** (n - 1) * (1.0 if n == DEPTH else lambda_p)
            p = survived * halting
            total += p * loss_of(model.logits[n - 1, i], targets[i]) + beta * p * math.log(p / prior)
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


@pytest.mark.parametrize("name, targets, loss_of", [("SST-2", CLASSES, cross_entropy), ("STS-B", SCORES, squared_error)])
def test_loss_and_exits_equal_a_nested_loop(name, targets, loss_of):
    model = FixedModel(glue_task(name).outputs)
    criterion = make_criterion(name, beta=0.3, prior_lambda=0.2, q_exit_threshold=0.6)
    loss, sample_size, log = criterion(model, make_sample(targets))
    expected, depth, exits = expected_sums(model, targets, loss_of, 0.3, 0.2, 0.6)
    assert loss.item() == pytest.approx(expected, rel=1e-5) and sample_size == BATCH
    assert log["q_exit_depth"] == sum(exits)
    assert log["posterior_depth"] == pytest.approx(depth, rel=1e-5)
    assert log["p"].sum() == pytest.approx(BATCH, abs=1e-5)


def test_the_default_prior_parameter_follows_the_depth():
    assert make_criterion().objective(12).lambda_p == pytest.approx(0.1)
    assert 0.159 < make_criterion().objective(6).lambda_p <= 0.206
    assert make_criterion(prior_lambda=0.3).objective(6).lambda_p == 0.3


def test_as_released_sets_the_three_departures_of_the_published_code():
    by_one_flag = make_criterion(as_released=True).objective(DEPTH)
    one_by_one = make_criterion(kl_direction="prior_posterior", posterior_remainder="none", halting_epsilon=0.05)
    assert by_one_flag == one_by_one.objective(DEPTH) != make_criterion().objective(DEPTH)
    model = FixedModel(2)
    make_criterion(as_released=True)(model, make_sample(CLASSES))[0].backward()
    assert model.halting_logits.grad[-1].abs().sum() > 0, "the published code reads the last halting logit"


def logged(criterion, logs):
    with metrics.aggregate() as aggregate:
        criterion.reduce_metrics(logs)
    return aggregate.get_smoothed_values()


@pytest.mark.parametrize("name, targets, by_layer", [("SST-2", CLASSES, "accuracy"), ("STS-B", SCORES, "squared_error")])
def test_logs_of_two_batches_are_those_of_both_together(name, targets, by_layer):
    criterion = make_criterion(name)
    logs = [criterion(FixedModel(glue_task(name).outputs, seed), make_sample(targets))[2] for seed in (1, 2)]
    singly = [logged(criterion, [log]) for log in logs]
    together = logged(criterion, logs)
    names = {"loss", "task_loss", "kl", "posterior_depth", "q_exit_depth"}
    assert set(together) == names | {f"{kind}_{n}" for kind in ("p", by_layer) for n in range(1, DEPTH + 1)}
    assert together == pytest.approx({key: (singly[0][key] + singly[1][key]) / 2 for key in together})
    assert all(type(value) is float for value in together.values())


def test_half_precision_outputs_give_a_float32_loss():
    model = FixedModel(2).bfloat16()
    exact = FixedModel(2)
    exact.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    losses = [make_criterion()(each, make_sample(CLASSES))[0] for each in (model, exact)]
    assert losses[0].dtype == torch.float32 and torch.equal(*losses)


WRONG = {
    "--beta -1": {"beta": -1},
    "--prior-lambda 1": {"prior_lambda": 1.0},
    "--q-exit-threshold 2": {"q_exit_threshold": 2},
    "--halting-epsilon 1": {"halting_epsilon": 1},
    "acts only with --posterior-remainder none": {"halting_epsilon": 0.05},
}


@pytest.mark.parametrize("reason", WRONG)
def test_contradictory_options_are_refused(reason):
    with pytest.raises(UserError, match=reason):
        make_criterion(**WRONG[reason])


def test_another_task_and_unlabelled_data_are_refused():
    with pytest.raises(UserError, match="needs --task glue"):
        PonderClassification(OmegaConf.structured(PonderClassificationConfig()), SimpleNamespace())
    sample = make_sample(CLASSES)
    del sample["target"]
    with pytest.raises(UserError, match="no labels"):
        make_criterion()(FixedModel(2), sample)
