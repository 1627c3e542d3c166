"""The runs of the parity experiment, and the flags of each."""

from collections.abc import Iterator
from dataclasses import dataclass

SETTINGS = ("interpolation", "extrapolation")
METHODS = ("PonderNet", "ACT", "fixed steps")
LAMBDA_P, BETA = 0.1, 0.01  # PonderNet (arXiv 2107.05407, section 3.1)
TAU = 0.001  # of those that ACT tries on parity (arXiv 1603.08983, section 3.1)
LAMBDAS = (0.1, 0.3, 0.5, 0.7, 0.9)
TAUS = (0.0001, 0.001, 0.01, 0.1)


@dataclass(frozen=True)
class Size:
    """How large the experiment is.

    ``vector_sizes``: P of interpolation and of extrapolation. ``steps``: N. ``lr``: Adam's; it falls to 0 linearly
    where ``decays``. ``updates``: of each run, with a validation every ``interval``. ``seeds``: of each curve of figure
    1; ``value_seeds``: of each point of figure 2 a and b; ``spread_seeds``: of figure 2 c.
    """

    name: str
    vector_sizes: tuple[int, int]
    steps: int
    lr: float
    decays: bool
    updates: int
    interval: int
    seeds: int
    value_seeds: int
    spread_seeds: int
    batch: int = 128


DEFAULT = Size("default", (8, 8), 10, 0.01, True, 1500, 100, seeds=5, value_seeds=2, spread_seeds=10)
# P, N, batch and learning rate are the paper's (section 3.1 and appendix); it does not state the number of updates.
PAPER = Size("paper", (64, 96), 20, 3e-4, False, 200_000, 2000, seeds=10, value_seeds=10, spread_seeds=30)
SIZES = {size.name: size for size in (DEFAULT, PAPER)}


@dataclass(frozen=True)
class Run:
    """One training. ``value`` is λ_p of PonderNet and τ of ACT, None where the steps are fixed."""

    method: str
    setting: str
    value: float | None
    seed: int

    @property
    def folder(self) -> str:
        value = "" if self.value is None else f"{self.value:g}"
        return f"{self.method.replace(' ', '_')}{value}/{self.setting}/seed{self.seed}"


def plan(size: Size) -> list[Run]:
    """Every run once, those of figure 1 first."""
    return list(dict.fromkeys((*figure_1(size), *figure_2(size))))


def figure_1(size: Size) -> Iterator[Run]:
    for seed in range(1, size.seeds + 1):
        for setting in SETTINGS:
            yield Run("PonderNet", setting, LAMBDA_P, seed)
            yield Run("ACT", setting, TAU, seed)
            yield Run("fixed steps", setting, None, seed)


def figure_2(size: Size) -> Iterator[Run]:
    for seed in range(1, size.value_seeds + 1):
        yield from (Run("PonderNet", SETTINGS[0], value, seed) for value in LAMBDAS)
        yield from (Run("ACT", SETTINGS[0], value, seed) for value in TAUS)
    yield from (Run("PonderNet", SETTINGS[0], LAMBDA_P, seed) for seed in range(1, size.spread_seeds + 1))


def flags_of(run: Run, size: Size) -> list[str]:
    """The flags of ``fairseq-train``, without its folders."""
    method = {
        "PonderNet": ["--arch", "ponder_rnn", "--criterion", "ponder_classification", "--beta", f"{BETA:g}",
                      "--prior-lambda", f"{run.value}"],
        "ACT": ["--arch", "act_rnn", "--criterion", "act", "--ponder-cost", f"{run.value}"],
        "fixed steps": ["--arch", "ponder_rnn", "--lambda-module", "none", "--criterion", "multi_exit_classification",
                        "--layer-weights", "last"],
    }[run.method]
    decay = ["--lr-scheduler", "polynomial_decay", "--total-num-update", f"{size.updates}"]
    return [
        "--task", "parity", "--vector-size",
        f"{size.vector_sizes[SETTINGS.index(run.setting)]}", *["--extrapolate"] * (run.setting == SETTINGS[1]),
        "--train-vectors", f"{size.interval * size.batch}", "--valid-subset", "valid,test", *method, "--max-steps",
        f"{size.steps}", "--optimizer", "adam", "--lr", f"{size.lr}", *(decay if size.decays else []), "--clip-norm",
        "1.0", "--batch-size", f"{size.batch}", "--max-update", f"{size.updates}", "--seed", f"{run.seed}", "--cpu",
        "--num-workers", "0", "--no-epoch-checkpoints", "--log-format", "json", "--log-interval", f"{size.interval}",
    ]
