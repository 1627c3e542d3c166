"""Choose thresholds on the calibration split by a budget of mean layers."""

from dataclasses import dataclass

from ..analysis.contract import Budget, preferred, try_all
from ..analysis.describe import describe
from ..analysis.sweep import decisions
from ..exits.base import Rule
from ..exits.rules.confidence import Confidence
from ..exits.rules.entropy import Entropy
from ..exits.rules.fixed import Fixed
from ..exits.rules.patience import Patience
from .runs import Run

BUDGETS = {"N/3": 1 / 3, "N/2": 1 / 2, "2N/3": 2 / 3}
HALF = "N/2"


@dataclass(frozen=True)
class Setting:
    """A rule of a run: its ``name``, and its setting for each seed.

    ``rows``: each seed's fields of ``describe`` on the reported split. ``chosen``: whether the settings were chosen on
    the calibration split, or are those that the run was scored with.
    """

    run: Run
    name: str
    rules: list[Rule]
    rows: list[dict]
    chosen: bool

    @property
    def thresholds(self) -> str:
        """The thresholds of all seeds; one number where they are equal."""
        shown = [_threshold(rule) for rule in self.rules]
        return shown[0] if len(set(shown)) == 1 else ", ".join(shown)


def setting(run: Run, name: str, rules: list[Rule], chosen: bool) -> Setting:
    rows = [describe(seed.recorded, rule, decisions(seed.recorded, rule))
            for seed, rule in zip(run.seeds, rules, strict=True)]
    return Setting(run, name, rules, rows, chosen)


def compared_rules(run: Run) -> list[str]:
    """The run's main rule, and one that any model with exits has: entropy, for regression patience."""
    if not run.main_rule:
        return []
    baseline = Patience if run.recorded.outputs == 1 else Entropy
    return list(dict.fromkeys([run.main_rule.name, baseline.name]))


def chosen_settings(run: Run) -> dict[tuple[str, str], Setting]:
    """The settings by rule and budget, for a run whose seeds all have a calibration record.

    Each seed has the largest mean exit layer of at most that fraction of the run's N, or of 1; see ``Budget``.
    """
    by_seed = [try_all(compared_rules(run), seed.calibration) for seed in run.seeds]
    budgets = {name: Budget(max(part * run.recorded.depth, 1)) for name, part in BUDGETS.items()}
    return {
        (name, budget): setting(run, name, [preferred(limit, tried[name], seed.calibration)
                                            for seed, tried in zip(run.seeds, by_seed)], chosen=True)
        for name in compared_rules(run) for budget, limit in budgets.items()
    }


def full_depth(run: Run) -> Setting:
    """The model's last layer."""
    return setting(run, Fixed.name, [run.full_model] * len(run.seeds), chosen=False)


def _threshold(rule: Rule) -> str:
    """The threshold in three digits; without the temperatures of confidence."""
    _, _, numbers = rule.spec.partition(":")
    numbers = numbers.split(":")[:1] if isinstance(rule, Confidence) else numbers.split(":")
    text = ":".join(f"{float(number):.3g}" for number in numbers)
    return rule.spec if isinstance(rule, Fixed) else text
