"""Tests of a report's claims, against slow loops and known answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score

from fairseq_palbert.analysis.records import expected_score
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.report import claims
from fairseq_palbert.report.claims import Bootstrap, Claim, pooled
from fairseq_palbert.report.runs import Run, Seed
from fairseq_palbert.report.task import Task
from tests.fixtures.recorded_runs import EXAMPLES, random_record

RESAMPLES = 12
METHODS = {"palbert": ["q_exit:0.5", "fixed:4"], "static2": ["fixed:4"], "vanilla": ["fixed:4"]}
SCORES = {"SST-2": accuracy_score, "MRPC": lambda y, x: (accuracy_score(y, x) + f1_score(y, x)) / 2,
          "STS-B": lambda y, x: (pearsonr(y, x).statistic + spearmanr(y, x).statistic) / 2}


def places_of_draws(task: str) -> list[np.ndarray]:
    """Returns the indices of the examples of the split itself and then of every draw."""
    rng = np.random.default_rng((0, *task.encode()))
    return [np.arange(EXAMPLES), *(rng.integers(EXAMPLES, size=EXAMPLES) for _ in range(RESAMPLES))]


def on_draw(recorded, rule, places) -> tuple[float, float]:
    """Returns (mean exit, score) of a rule on one draw."""
    decided = decisions(recorded, rule)
    answers = decided.outputs.squeeze(-1) if recorded.outputs == 1 else decided.outputs.argmax(-1)
    return (decided.exit_layers[places].double().mean().item(),
            SCORES[recorded.task.name](recorded.targets[places].numpy(), answers[places].numpy()))


@pytest.mark.parametrize("name", ["SST-2", "MRPC", "STS-B"])
def test_the_score_against_fixed_depths_is_that_of_a_loop(make_task, name):
    task = make_task(name, METHODS, calibrated=True)
    run, static, vanilla = task.runs
    chosen = task.chosen["palbert"]["q_exit", "N/2"]
    found = claims.against_fixed_models(task, chosen, Bootstrap(task, RESAMPLES))
    expected = []
    for places in places_of_draws(name):
        line = np.zeros(3)
        for seed, rule, other, full in zip(run.seeds, chosen.rules, static.seeds, vanilla.seeds, strict=True):
            depth, score = on_draw(seed.recorded, rule, places)
            fixed = [on_draw(seed.recorded, parse_rule(f"fixed:{n}"), places)[1] for n in (1, 2, 3, 4)]
            others = [on_draw(one.recorded, parse_rule("fixed:4"), places)[1] for one in (other, full)]
            line += score - np.array([np.interp(depth, [1, 2, 3, 4], fixed), *others])
        expected.append(line / len(run.seeds))
    assert np.stack([claim.drawn for claim in found], axis=1) == pytest.approx(np.stack(expected), abs=1e-9)
    assert [claim.other for claim in found] == ["fixed exit, same depth", "static2, 4 layers", "vanilla, 4 layers"]
    assert found[0].a - found[0].b == pytest.approx(found[0].difference.value)


@pytest.mark.parametrize("name", ["SST-2", "STS-B"])
def test_the_area_between_two_depths_is_that_of_a_loop(make_task, name):
    task = make_task(name, METHODS)
    run, *_ = task.runs
    rule = "patience" if name == "STS-B" else "entropy"
    found = {claim.other: claim for claim in claims.against_other_rules(task, run, Bootstrap(task, RESAMPLES))}
    assert "confidence" not in found
    grid = (np.arange(40_000) + 0.5) / 40_000 * (8 - 4) / 3 + 4 / 3  # midpoints of cells from N/3 to 2N/3
    expected = []
    for places in places_of_draws(name):
        areas = []
        for curve in (task.curves["palbert"]["q_exit"], task.curves["palbert"][rule]):
            by_seed = []
            for seed, points in zip(run.seeds, curve.seeds, strict=True):
                order = sorted(points, key=lambda point: point.row["mean_exit"])
                depths, scores = zip(*(on_draw(seed.recorded, point.rule, places) for point in order))
                by_seed.append(np.interp(grid, depths, scores).mean())
            areas.append(np.mean(by_seed))
        expected.append(areas[0] - areas[1])
    assert found[rule].drawn == pytest.approx(np.array(expected), abs=2e-4)


@pytest.mark.parametrize("name", ["SST-2", "MRPC", "STS-B"])
def test_sampling_is_its_exact_expectation_over_all_seeds(make_task, name):
    task = make_task(name, METHODS)
    first, second = claims.ordering(task, task.runs[0], Bootstrap(task, 3))
    assert first.b == pytest.approx(np.mean([expected_score(seed.recorded) for seed in task.runs[0].seeds]))
    places = torch.from_numpy(places_of_draws(name)[1])
    drawn = [replace(one, targets=one.targets[places], ids=one.ids, recording=Recording(
        one.recording.halting_logits[:, places], one.recording.logits[:, places]))
        for one in (seed.recorded for seed in task.runs[0].seeds)]
    q_exit = np.mean([on_draw(seed.recorded, parse_rule("q_exit:0.5"), places.numpy())[1]
                      for seed in task.runs[0].seeds])
    assert first.drawn[1] == pytest.approx(q_exit - np.mean(list(map(expected_score, drawn))))
    assert second.b == first.a


def with_numbers(logits, halting) -> Task:
    """Returns a task of PALBERT with one seed and 4 examples of class 1, 0, 1, 0.

    ``logits`` has each layer's answers, as classes; ``halting`` is the halting logit of all examples.
    """
    recorded = random_record("SST-2", 0, halts=True)
    logits = torch.nn.functional.one_hot(torch.tensor(logits), 2).float()
    recorded = replace(recorded, encoder=replace(recorded.encoder, layers=len(logits)), rows=4, ids=torch.arange(4),
                       lengths=recorded.lengths[:4], targets=torch.tensor([1, 0, 1, 0]),
                       recording=Recording(torch.full((len(logits) - 1, 4), halting), logits))
    return Task("SST-2", [Run("palbert", [Seed("seed1", recorded, [], [])])])


def test_where_depth_alone_is_right_the_ordering_holds():
    """Layer 1 of 2 is always wrong and halts with probability 0.4: sampling has 0.6, Q-exit and expectation 1."""
    task = with_numbers([[0, 1, 0, 1], [1, 0, 1, 0]], -0.405465)
    first, second = claims.ordering(task, task.runs[0], Bootstrap(task, 20))
    assert (first.b, first.a, second.a) == pytest.approx((0.6, 1, 1))
    assert first.difference.low > 0 and second.difference.low == 0


def test_where_depth_is_wrong_it_does_not():
    """Only layer 1 is right, and Q-exit exits at layer 2."""
    task = with_numbers([[1, 0, 1, 0], [0, 1, 0, 1]], -0.405465)
    first, second = claims.ordering(task, task.runs[0], Bootstrap(task, 20))
    assert (first.b, first.a, second.a) == pytest.approx((0.4, 0, 0)) and first.difference.high < 0


def test_a_gate_that_knows_nothing_earns_no_depth(make_task):
    """Negative control: over many records, random halting logits gain nothing over the fixed exits.

    They may lose: where the score is concave in depth, random exit layers score less than their mean layer.
    """
    gains = []
    for seed in range(30):
        recorded = random_record("SST-2", seed, halts=True)
        run = Run("palbert", [Seed("seed1", recorded, [], [])])
        task = Task("SST-2", [run])
        chosen = claims.Setting(run, "q_exit", [parse_rule("q_exit:0.5")], [], True)
        claim, = claims.against_fixed_models(task, chosen, Bootstrap(task, 200))
        gains.append(claim.difference)
    assert -0.1 < np.mean([one.value for one in gains]) < 0.005
    assert sum(one.low > 0 for one in gains) <= 2


def test_a_gate_that_knows_which_layer_is_right_earns_it():
    """Half of the examples are right at layer 1 alone, half at all others; the gate knows which: 1.0 against 0.5."""
    recorded = random_record("SST-2", 0, halts=True)
    right = torch.nn.functional.one_hot(recorded.targets, 2).float()
    early = (torch.arange(EXAMPLES) < EXAMPLES // 2)
    logits = torch.stack([torch.where(early[:, None] == (n == 0), right, 1 - right) for n in range(4)])
    halting = torch.where(early, 9.0, -9.0).repeat(3, 1)
    halting[1:] = 9.0
    run = Run("palbert", [Seed("seed1", replace(recorded, recording=Recording(halting, logits)), [], [])])
    task = Task("SST-2", [run])
    chosen = claims.Setting(run, "q_exit", [parse_rule("q_exit:0.5")], [], True)
    claim, = claims.against_fixed_models(task, chosen, Bootstrap(task, 50))
    assert claim.a == 1 and claim.b == pytest.approx(0.5) and claim.difference.low > 0.3


def test_tasks_are_pooled_by_their_mean_and_resampled_apart(make_task):
    one, two = (Claim("palbert", "fixed", a, 0.5, np.array(drawn)) for a,
                drawn in ((0.6, [0.1, 0.3, -0.1]), (0.8, [0.3, 0.1, 0.3])))
    both = pooled([one, two])
    assert (both.a, both.b, both.tasks) == (pytest.approx(0.7), 0.5, 2) and both.drawn == pytest.approx([0.2, 0.2, 0.1])
    tasks = [make_task(name, {"palbert": ["q_exit:0.5"]}) for name in ("SST-2", "MRPC")]
    weights = [Bootstrap(task, 40)(lambda given: given[:, 0]) for task in tasks]
    assert not np.array_equal(*weights)
