"""Tests of learning rates by part: groups, schedules, logs, refusals and resuming.

With equal rates the optimizer equals fairseq's Adam.
"""

import copy

import pytest
import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.logging import metrics
from fairseq.optim import FP16Optimizer, build_optimizer, lr_scheduler
from omegaconf import OmegaConf
from torch import nn

from fairseq_palbert.errors import UserError
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.optim.parts import tag_parameters
from fairseq_palbert.optim.ponder_adam import PonderAdamConfig

LR = 1e-3
DECAYED = {"encoder_lr": 2e-3, "classifier_lr": 5e-3, "lambda_lr": 1e-4, "layer_lr_decay": 0.5}
# N = 3: the embeddings' rate is decayed three times, the last layer's not at all.
EXPECTED = {"encoder_0": 2.5e-4, "encoder_1": 5e-4, "encoder_2": 1e-3, "encoder_3": 2e-3, "classifier": 5e-3,
            "lambda": 1e-4}


@pytest.fixture(autouse=True)
def fresh_metrics():
    metrics.reset()
    yield
    metrics.reset()


@pytest.fixture
def network() -> PonderingClassifier:
    return make_network()


def make_network() -> PonderingClassifier:
    """Returns a network with the same weights at every call and dropout off."""
    torch.manual_seed(0)
    shape = EncoderShape(vocabulary=11, padding_id=1, separator_id=2, max_positions=8, layers=3, hidden=4,
                         ffn_hidden=8, heads=2)
    network = PonderingClassifier(Encoder(shape), HeadsShape(outputs=2, classifier_dropout=0.0))
    tag_parameters(network)
    return network


def config(optimizer: str = "ponder_adam", schedule: dict | None = None, lr: float = LR, **flags) -> FairseqConfig:
    """Returns fairseq's own configuration, in which the optimizer's borrowed values resolve."""
    cfg = OmegaConf.structured(FairseqConfig())
    OmegaConf.set_struct(cfg, False)
    cfg.optimization.lr = [lr]
    cfg.optimizer = {"_name": optimizer, "lr": [lr], **flags}
    cfg.lr_scheduler = {"_name": "fixed", "lr": [lr], **(schedule or {})}
    return cfg


def build(params, **cfg):
    return build_optimizer(config(**cfg).optimizer, list(params))


def rates(optimizer) -> dict[str, float]:
    return {group["name"]: group["lr"] for group in optimizer.param_groups if group["params"]}


def train(network: nn.Module, optimizer, steps: int, seed: int) -> None:
    """Makes ``steps`` updates as fairseq's trainer does, clipping included."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        tokens = torch.randint(2, 11, (4, 6), generator=generator)
        optimizer.zero_grad()
        output = network(tokens)
        optimizer.backward(output.logits.square().sum() + output.halting_logits.sum())
        optimizer.multiply_grads(0.25)
        optimizer.clip_grad_norm(0.1)
        optimizer.step()


def snapshot(network: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def test_every_parameter_is_in_one_group_at_its_rate(network):
    optimizer = build(network.parameters(), **DECAYED)
    optimizer.set_lr(LR)
    assert rates(optimizer) == pytest.approx(EXPECTED, rel=1e-12)
    assert [id(p) for p in optimizer.params] == [id(p) for p in network.parameters()]
    for group in optimizer.param_groups:
        assert {p.param_group for p in group["params"]} <= {group["name"]}


@pytest.mark.parametrize("schedule", [
    {"warmup_updates": 10},
    {"_name": "polynomial_decay", "warmup_updates": 5, "total_num_update": 30, "force_anneal": 1},
    {"_name": "inverse_sqrt", "warmup_updates": 5},
])
def test_schedulers_act_on_all_parts_in_proportion(network, schedule):
    cfg = config(schedule=schedule, **DECAYED)
    optimizer = build_optimizer(cfg.optimizer, list(network.parameters()))
    plain = build_optimizer(config("adam").optimizer, list(make_network().parameters()))
    scheduler, reference = (lr_scheduler.build_lr_scheduler(cfg.lr_scheduler, o) for o in (optimizer, plain))
    for epoch in (1, 2):
        for each in (scheduler, reference):
            each.step_begin_epoch(epoch)
        for update in range(10 * epoch, 10 * epoch + 10):
            scheduled = reference.step_update(update)
            assert scheduler.step_update(update) == scheduled
            wanted = {name: scheduled * rate / LR for name, rate in EXPECTED.items()}
            assert rates(optimizer) == pytest.approx(wanted, rel=1e-12)


def test_a_plateau_lowers_every_part(network):
    schedule = {"_name": "reduce_lr_on_plateau", "lr_shrink": 0.1, "lr_patience": 0,
                "maximize_best_checkpoint_metric": False}
    cfg = config(schedule=schedule, **DECAYED)
    optimizer = build_optimizer(cfg.optimizer, list(network.parameters()))
    scheduler = lr_scheduler.build_lr_scheduler(cfg.lr_scheduler, optimizer)
    for epoch, loss in enumerate([1.0, 2.0]):
        scheduler.step(epoch, loss)
    assert rates(optimizer) == pytest.approx({name: rate / 10 for name, rate in EXPECTED.items()})
    assert scheduler.step_update(7) == pytest.approx(LR / 10)


@pytest.mark.parametrize("flags, logged", [
    ({"lambda_lr": 1e-4}, {"lr_encoder": LR, "lr_classifier": LR, "lr_lambda": 1e-4}),
    (DECAYED, {f"lr_{name}": rate for name, rate in EXPECTED.items()}),
])
def test_each_rate_is_logged(network, flags, logged):
    optimizer = build(network.parameters(), **flags)
    with metrics.aggregate("train"):
        optimizer.set_lr(LR)
    assert dict(metrics.get_smoothed_values("train")) == pytest.approx(logged)


@pytest.mark.parametrize("flags", [{}, {"encoder_lr": LR, "classifier_lr": LR, "lambda_lr": LR}])
def test_equal_rates_are_adam_to_the_bit(network, flags):
    other = make_network()
    for model, name, extra in ((network, "ponder_adam", flags), (other, "adam", {})):
        optimizer = build(model.parameters(), optimizer=name, weight_decay=0.1, **extra)
        optimizer.set_lr(LR)
        train(model, optimizer, steps=5, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


def test_each_part_moves_at_its_own_rate(network):
    before = snapshot(network)
    optimizer = build(network.parameters(), lambda_lr=0.0, classifier_lr=2 * LR)
    optimizer.set_lr(LR)
    train(network, optimizer, steps=1, seed=1)
    # Adam's first step is the learning rate times the sign of the gradient.
    moved = {"encoder": 0.0, "classifier": 0.0, "lambda": 0.0}
    for old, new in zip(before, network.parameters(), strict=True):
        part = new.optim_overrides["part"]
        moved[part] = max(moved[part], (new - old).abs().max().item())
    assert moved == pytest.approx({"encoder": LR, "classifier": 2 * LR, "lambda": 0.0}, rel=0.05)


def test_resume_is_exact(network):
    optimizer = build(network.parameters(), **DECAYED)
    optimizer.set_lr(LR)
    train(network, optimizer, steps=3, seed=1)
    resumed = make_network()
    resumed.load_state_dict(network.state_dict())
    saved = copy.deepcopy(optimizer.state_dict())
    train(network, optimizer, steps=3, seed=2)

    second = build(resumed.parameters(), **DECAYED)
    second.load_state_dict(saved)
    second.set_lr(LR)
    train(resumed, second, steps=3, seed=2)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), resumed.parameters(), strict=True))


def test_resume_with_other_flags_trains_at_the_new_rates(network):
    saved = build(network.parameters(), lambda_lr=1e-5).state_dict()
    optimizer = build(network.parameters(), **DECAYED)
    optimizer.load_state_dict(saved)
    optimizer.set_lr(LR)
    assert rates(optimizer) == pytest.approx(EXPECTED)


@pytest.mark.parametrize("change", [
    lambda state: state.clear(), lambda state: state["param_groups"].pop(), lambda state: state.update(param_groups=7),
    lambda state: state["param_groups"][0].update(params=[]), lambda state: state.update(master_weights=[]),
    lambda state: state.update(state=[1, 2]),
])
def test_the_state_of_another_optimizer_is_refused(network, change):
    optimizer = build(network.parameters(), **DECAYED)
    train(network, optimizer, steps=1, seed=1)
    state = copy.deepcopy(optimizer.state_dict())
    change(state)
    with pytest.raises(UserError, match="does not fit this model and --optimizer"):
        optimizer.load_state_dict(state)


def test_half_precision_copies_keep_their_groups(network):
    cfg = config(**DECAYED)
    cfg.common.bf16 = True
    optimizer = FP16Optimizer.build_optimizer(cfg, list(network.to(torch.bfloat16).parameters()))
    optimizer.set_lr(LR)
    assert rates(optimizer.fp32_optimizer) == pytest.approx(EXPECTED)
    train(network, optimizer, steps=2, seed=1)


def test_resume_in_half_precision_is_exact():
    """fairseq's checkpoints hold the model in half precision.

    The optimizer therefore keeps the float32 copies that it updates.
    """
    cfg = config(**DECAYED)
    cfg.common.bf16 = True
    models = [make_network().to(torch.bfloat16) for _ in range(2)]
    optimizers = [FP16Optimizer.build_optimizer(cfg, list(model.parameters())) for model in models]
    for optimizer in optimizers:
        optimizer.set_lr(LR)
    train(models[0], optimizers[0], steps=3, seed=1)
    models[1].load_state_dict(models[0].state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for model, optimizer in zip(models, optimizers):
        train(model, optimizer, steps=3, seed=2)
    for first, second in zip(*(optimizer.fp32_params for optimizer in optimizers), strict=True):
        assert torch.equal(first, second)


def test_single_precision_keeps_no_second_copy_of_the_weights(network):
    assert set(build(network.parameters()).state_dict()) == {"state", "param_groups"}


@pytest.mark.parametrize("flags, words", [
    ({"encoder_lr": -1e-5}, "--encoder-lr -1e-05"),
    ({"lambda_lr": float("nan")}, "--lambda-lr nan"),
    ({"classifier_lr": float("inf")}, "--classifier-lr inf"),
    ({"classifier_lr": 1e-5, "lr": 0.0}, "give a positive --lr"),
    ({"layer_lr_decay": 0.0}, "--layer-lr-decay 0.0"),
    ({"layer_lr_decay": 1.1}, "--layer-lr-decay 1.1"),
    ({"adam_betas": "(0.9, 1.5)"}, "--adam-betas: 1.5 is not at least 0 and below 1"),
    ({"adam_betas": "(0.9,)"}, "--adam-betas: '' is no number"),
    ({"adam_betas": [0.9]}, "--adam-betas: .* has 1 numbers instead of 2"),
    ({"adam_betas": "exec('raise SystemExit') or (0.9, 0.9)"}, "--adam-betas: .* is no number"),
])
def test_impossible_rates_are_refused(network, flags, words):
    with pytest.raises(UserError, match=words):
        build(network.parameters(), **flags)


@pytest.mark.parametrize("flags", [{"lambda_lr": 1e-4}, {"layer_lr_decay": 0.9}])
def test_rates_by_part_are_refused_where_no_parameter_names_its_part(flags):
    # --fp16 without --fp16-no-flatten-grads hands over one flat copy of all parameters, without attributes.
    flat = [{0: nn.Parameter(torch.zeros(10))}]
    with pytest.raises(UserError, match="--fp16-no-flatten-grads"):
        build_optimizer(config(**flags).optimizer, flat)
    assert rates(build_optimizer(config().optimizer, flat)) == {"untagged": LR}


def test_parameters_of_no_part_train_at_the_common_rate(network):
    optimizer = build([*network.parameters(), nn.Parameter(torch.zeros(2))], **DECAYED)
    optimizer.set_lr(LR)
    assert rates(optimizer) == pytest.approx({**EXPECTED, "untagged": LR})


def test_the_flags_and_their_defaults():
    cfg = PonderAdamConfig()
    assert (cfg.encoder_lr, cfg.classifier_lr, cfg.lambda_lr, cfg.layer_lr_decay) == (None, None, None, 1.0)
