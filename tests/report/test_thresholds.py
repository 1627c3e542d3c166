"""Tests of thresholds: chosen on the calibration split, applied to the reported one."""

from dataclasses import replace

import pytest

from fairseq_palbert.analysis.contract import Budget, choose
from fairseq_palbert.analysis.describe import describe
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.report.thresholds import BUDGETS, Setting, chosen_settings, compared_rules


@pytest.fixture
def run(make_task):
    return make_task("SST-2", {"palbert": ["q_exit:0.5", "fixed:4"]}, calibrated=True).runs[0]


def test_each_seed_has_the_threshold_of_its_own_calibration_record(run):
    settings = chosen_settings(run)
    assert list(settings) == [(name, budget) for name in ("q_exit", "entropy") for budget in BUDGETS]
    for (name, budget), one in settings.items():
        limit = Budget(BUDGETS[budget] * 4)
        for seed, rule, row in zip(run.seeds, one.rules, one.rows, strict=True):
            assert rule == choose(limit, [name], seed.calibration)[name]
            assert describe(seed.calibration, rule, decisions(seed.calibration, rule))["mean_exit"] <= limit.limit
            assert row == describe(seed.recorded, rule, decisions(seed.recorded, rule))


def test_a_model_of_one_layer_stays_at_it(make_task):
    def first_layer(recorded):
        recording = replace(recorded.recording, logits=recorded.recording.logits[:1],
                            halting_logits=recorded.recording.halting_logits[:0])
        return replace(recorded, encoder=replace(recorded.encoder, layers=1), prior=[1.0], recording=recording)

    task = make_task("SST-2", {"palbert": ["q_exit:0.5"]}, calibrated=True, change=first_layer)
    assert {row["mean_exit"] for one in chosen_settings(task.runs[0]).values() for row in one.rows} == {1}


def test_the_reported_split_chooses_nothing(make_run, damage):
    """Negative control: other labels on the reported split change the scores, but no threshold."""
    from fairseq_palbert.report.runs import read_runs

    folder = make_run("palbert", "SST-2", "q_exit:0.5", halts=True, calibrated=True, seeds=[1])
    before = chosen_settings(read_runs([folder], "valid")["SST-2"][0])
    run, = read_runs([folder], "valid")["SST-2"]
    object.__setattr__(run.seeds[0], "recorded", type(run.recorded)(**{
        **{name: getattr(run.recorded, name) for name in run.recorded.__dataclass_fields__},
        "targets": 1 - run.recorded.targets}))
    after = chosen_settings(run)
    assert [one.rules for one in after.values()] == [one.rules for one in before.values()]
    assert all(one.rows[0]["metrics"]["score"] == pytest.approx(1 - other.rows[0]["metrics"]["score"])
               for one, other in zip(after.values(), before.values()))


def test_thresholds_are_shown_in_three_digits(make_task):
    task = make_task("STS-B", {"pabee": ["patience:1:0.3", "fixed:4"]}, calibrated=True)
    assert compared_rules(task.runs[0]) == ["patience"]
    one = task.chosen["pabee"]["patience", "2N/3"]
    shown = [f"{rule.parameter}:{rule.tolerance:.3g}" for rule in one.rules]
    assert len(set(shown)) > 1 and one.thresholds == ", ".join(shown)


@pytest.mark.parametrize("rules, shown", [
    (["q_exit:0.5", "q_exit:0.6", "q_exit:0.5"], "0.5, 0.6, 0.5"),
    (["q_exit:0.5", "q_exit:0.5", "q_exit:0.6"], "0.5, 0.5, 0.6"),
    (["patience:1:0.25", "patience:1:0.5", "patience:1:0.25"], "1:0.25, 1:0.5, 1:0.25"),
    (["q_exit:0.50001", "q_exit:0.50002"], "0.5"),
    (["fixed:4"] * 3, "fixed:4"),
    (["q_exit:0.5"], "0.5"),
])
def test_every_seed_has_its_threshold_unless_all_are_equal(rules, shown):
    assert Setting(None, "", [parse_rule(rule) for rule in rules], [], chosen=True).thresholds == shown
