"""Tests of contracts: their losses, the choice of a threshold, and its guarantee.

The guarantee is tested by simulation, with records whose true risk is known.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fairseq_palbert.analysis import contract
from fairseq_palbert.analysis.contract import Budget, MaxDrop, choose, part_of, two_parts
from fairseq_palbert.analysis.describe import describe
from fairseq_palbert.analysis.recorded_split import RecordedSplit
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.analysis.temperature import fit_temperatures
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.rules.fixed import Fixed
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape
from fairseq_palbert.ponder.halting import cdf

DRAWS, EXAMPLES, CONFIDENCE = 80, 200, 0.9


def record_of(logits, targets, task="SST-2", halting=None) -> RecordedSplit:
    depth, examples, outputs = logits.shape
    return RecordedSplit(
        split="valid", task=packaged_task(task), rows=examples,
        encoder=EncoderShape(9, 1, 2, 16, depth, 4, 8, 1),
        heads=HeadsShape(outputs, lambda_module="none" if halting is None else "linear"), prior=None, origin={},
        ids=torch.arange(examples), lengths=torch.full((examples,), 5), targets=targets,
        recording=Recording(halting, logits))


def by_class(answers, targets) -> RecordedSplit:
    """Returns a record of ``answers`` [N][E], which are class ids."""
    return record_of(torch.nn.functional.one_hot(torch.tensor(answers), 2).float(), torch.tensor(targets))


def draw(seed, examples=EXAMPLES) -> RecordedSplit:
    """Returns a record of two layers; the second is always right.

    In the first layer the CDF c is uniform in 0..1. Its answer has probability (1 + c) / 2 but is wrong with
    probability 1 − c, twice as often as it should be. At the same c, wrong answers are as confident as right ones.
    """
    rng = np.random.default_rng(seed)
    c = torch.from_numpy(rng.random(examples))
    targets = torch.from_numpy(rng.integers(2, size=examples))
    answers = torch.where(torch.from_numpy(rng.random(examples)) < 1 - c, 1 - targets, targets)
    sure = torch.logit((1 + c) / 2)[:, None] * torch.nn.functional.one_hot(answers, 2)
    return record_of(torch.stack([sure, 9.0 * torch.nn.functional.one_hot(targets, 2)]), targets,
                     halting=torch.logit(c)[None])


def staying(rule) -> float:
    """Returns the probability that an example of ``draw`` goes on to layer 2."""
    if rule.name == "confidence":  # the c whose (1 + c) / 2 reaches the threshold at this temperature
        gap = rule.temperatures[0] * math.log(rule.parameter / (1 - rule.parameter)) if rule.parameter < 1 else math.inf
        return max(0.0, 2 / (1 + math.exp(-gap)) - 1)
    return float(rule.parameter) if rule.name == "q_exit" else float(rule.parameter - 1)


def accuracy_lost(rule) -> float:
    """Returns ∫ (1 − c) dc over the examples that leave at layer 1."""
    return (1 - staying(rule)) ** 2 / 2


def layers(rule) -> float:
    return 1 + staying(rule)


CASES = [("q_exit", MaxDrop(0.2), accuracy_lost), ("confidence", MaxDrop(0.2), accuracy_lost),
         ("q_exit", Budget(1.5), layers)]


@pytest.fixture
def few_points(monkeypatch):
    monkeypatch.setattr(contract, "POINTS", 30)


@pytest.mark.parametrize("name, asked, truth", CASES)
def test_the_guarantee_holds_at_its_rate_over_many_draws_and_is_not_idle(few_points, name, asked, truth):
    risks = np.array([truth(choose(asked, [name], draw(seed), CONFIDENCE)[name]) for seed in range(DRAWS)])
    delta = 1 - CONFIDENCE
    assert (risks > asked.limit).mean() <= delta + 2 * math.sqrt(delta * (1 - delta) / DRAWS)
    assert np.median(risks) > 0.5 * asked.limit


@pytest.mark.parametrize("name, asked, truth", CASES)
def test_without_the_bound_it_is_broken_far_more_often(few_points, name, asked, truth):
    risks = np.array([truth(choose(asked, [name], draw(seed))[name]) for seed in range(DRAWS)])
    assert (risks > asked.limit).mean() > 2.5 * (1 - CONFIDENCE)


def test_thresholds_and_temperatures_are_of_one_half_of_the_calibration_part():
    calibration = draw(0)
    shaping, testing = two_parts(EXAMPLES, 0.5, 0)
    chosen = choose(MaxDrop(0.2), ["q_exit", "confidence"], calibration, CONFIDENCE)
    seen = cdf(calibration.recording.halting_logits.double())[0]
    parameter = chosen["q_exit"].parameter
    assert parameter in seen[shaping].tolist() and parameter not in seen[testing].tolist()
    half = part_of(calibration, shaping)
    assert chosen["confidence"].temperatures == fit_temperatures(half.recording.logits, half.targets)


def test_the_order_of_testing_is_of_that_half_too():
    """Layer 1 loses nothing in the half that orders, and too much in the half that tests; layer 2 the other way round.
    So layer 1 is tested first, fails, and ends the sequence before layer 2."""
    examples = 400
    shaping, testing = two_parts(examples, 0.5, 0)
    wrong = torch.zeros(3, examples, dtype=torch.long)
    wrong[1, shaping[:60]] = wrong[2, shaping[60:120]] = wrong[0, testing[:60]] = 1
    calibration = by_class(wrong.tolist(), [0] * examples)
    assert choose(MaxDrop(0.1), ["fixed"], calibration, CONFIDENCE) == {"fixed": Fixed(3)}
    wrong[0, testing] = 0
    assert choose(MaxDrop(0.1), ["fixed"], by_class(wrong.tolist(), [0] * examples), CONFIDENCE) == {"fixed": Fixed(1)}


def test_the_best_of_those_that_keep_it():
    targets = [0] * 10
    scores = [6, 8, 7, 9]  # right answers of the layers 1 to 4
    recorded = by_class([[0] * right + [1] * (10 - right) for right in scores], targets)
    fixed = {str(asked): choose(asked, ["fixed"], recorded)["fixed"].parameter
             for asked in (Budget(1), Budget(3), Budget(3.9), Budget(9), MaxDrop(0), MaxDrop(0.1), MaxDrop(0.2),
                           MaxDrop(0.3))}
    assert fixed == {"--budget 1": 1, "--budget 3": 3, "--budget 3.9": 3, "--budget 9": 4,
                     "--max-drop 0": 4, "--max-drop 0.1": 2, "--max-drop 0.2": 2, "--max-drop 0.3": 1}


@pytest.mark.parametrize("asked", [Budget(3), MaxDrop(0)])
def test_of_equal_depths_the_better_one(asked):
    better, worse = (contract.Tried(Fixed(2), score, 2.0, None) for score in (0.9, 0.8))
    assert asked.preference(better) < asked.preference(worse)


def test_a_budget_is_used_whatever_the_score_of_the_calibration_examples():
    recorded = by_class([[0, 0], [0, 1], [1, 1], [0, 0]], [0, 0])
    assert choose(Budget(3.5), ["fixed"], recorded) == {"fixed": Fixed(3)}


def test_where_nothing_keeps_it_the_exit_is_fixed():
    recorded = draw(1)
    assert choose(Budget(1.7), ["expectation"], recorded) == {"expectation": Fixed(1)}
    wrong = replace(recorded, recording=Recording(recorded.recording.halting_logits, torch.stack(
        [-recorded.recording.logits[1], recorded.recording.logits[1]])))
    for confidence in (None, CONFIDENCE):
        assert choose(MaxDrop(0.05), ["sampling"], wrong, confidence) == {"sampling": Fixed(2)}
    assert Budget(7.5).fallback(6) == Fixed(6) and Budget(1.9).fallback(6) == Fixed(1)


def test_one_layer_keeps_every_contract():
    recorded = by_class([[0, 1, 0, 1] * 20], [0] * 80)
    for asked in (Budget(1), Budget(2), MaxDrop(0.1)):
        assert choose(asked, ["fixed", "confidence"], recorded)["fixed"] == Fixed(1)
    for asked in (Budget(1.5), MaxDrop(0.1)):
        assert choose(asked, ["fixed"], recorded, CONFIDENCE) == {"fixed": Fixed(1)}
        assert asked.losses(recorded, decisions(recorded, Fixed(1))).tolist() == [0] * 80


def test_losses_of_depth_are_parts_of_the_way_from_the_first_layer_to_the_last():
    recorded = by_class([[0, 1]] * 5, [0, 0])
    assert [Budget(2).losses(recorded, decisions(recorded, Fixed(k)))[0] for k in (1, 3, 5)] == [0, 0.5, 1]
    assert Budget(3).risk_limit(5) == 0.5 and Budget(5).risk_limit(5) == 1


def test_losses_of_classes_count_what_the_last_layer_had_right():
    recorded = by_class([[0, 0, 1, 1], [0, 1, 0, 1]], [0, 0, 0, 0])
    early = decisions(recorded, Fixed(1))
    assert MaxDrop(0.1).losses(recorded, early).tolist() == [0, 0, 1, 0]
    assert describe(recorded, Fixed(1), early)["lost"] == 0.25


def test_losses_of_a_regression_are_parts_of_its_scale():
    values = torch.tensor([[1.0, 9.0, -3.0, 2.0, 2.0], [2.0, 4.0, 0.0, 5.0, 7.0]])[..., None]
    recorded = record_of(values, torch.tensor([3.0, 4.0, 0.0, 2.0, 5.0], dtype=torch.float64), "STS-B")
    losses = MaxDrop(0.1).losses(recorded, decisions(recorded, Fixed(1)))
    # 2 − 1; 9 is clipped to 5; −3 is clipped to 0; layer 1 is better; 7 is clipped to 5
    assert losses.tolist() == pytest.approx([0.2, 0.2, 0, 0, 0.6])
    assert "rise by at most 0.5" in MaxDrop(0.1).promise(recorded)


def test_a_part_keeps_ids_rows_and_answers():
    recorded, places = draw(2, 10), torch.tensor([1, 4, 7])
    part = part_of(recorded, places)
    assert part.ids.tolist() == [1, 4, 7] and part.rows == 10
    for spec in ("q_exit:0.5", "sampling:3", "random:1.5"):
        rule = parse_rule(spec)
        assert decisions(part, rule).exit_layers.equal(decisions(recorded, rule).exit_layers[places])
    scores = record_of(torch.randn(2, 10, 1), torch.rand(10, dtype=torch.float64), "STS-B")
    assert describe(part_of(scores, places), Fixed(1),
                    decisions(part_of(scores, places), Fixed(1)))["metrics"]["score"] != 0
    assert part_of(replace(recorded, targets=None), places).targets is None


def test_two_parts_share_nothing_and_depend_on_the_seed():
    first, second = two_parts(11, 0.4, 5)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(11)) and len(first) == 4
    assert first.equal(two_parts(11, 0.4, 5)[0]) and not first.equal(two_parts(11, 0.4, 6)[0])
    for examples, fraction in ((1, 0.5), (10, 0.0), (10, 1.0), (10, 0.01), (10, -3), (10, 1.5)):
        with pytest.raises(UserError, match=f"{examples} examples are too few to split"):
            two_parts(examples, fraction, 0)


def test_what_no_sample_of_this_size_can_show_is_refused():
    for asked in (MaxDrop(0.01), MaxDrop(0), Budget(1)):
        with pytest.raises(UserError, match=f"{asked} --confidence 0.9: 100 examples to test on could not show it"):
            choose(asked, ["fixed"], draw(0), CONFIDENCE)


@pytest.mark.parametrize("kind, limit", [(Budget, 0.9), (Budget, math.nan), (Budget, math.inf), (MaxDrop, -0.01),
                                         (MaxDrop, 1.0), (MaxDrop, math.nan)])
def test_a_limit_that_means_nothing_is_refused(kind, limit):
    with pytest.raises(UserError, match=f"{limit:g}: .* at least"):
        kind(limit)
