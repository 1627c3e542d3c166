"""The training methods: flags, exit rules to score, and first phases."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..definitions.definition import TaskDefinition
from ..errors import UserError

LAST_LAYER = "fixed:N"
Q_EXIT = ("q_exit:0.5", "sampling:1", "expectation", LAST_LAYER)
EXIT_EACH = ("--per-layer-pooler", "--per-layer-classifier")
SECOND_PHASE = ("--freeze-backbone", "--keep-classifier")
STAGED = "_staged"


@dataclass(frozen=True)
class Method:
    """A training method.

    ``flags``: those of fairseq-train that the settings do not change. ``exits``: the rules to score; fixed:N is the
    last layer. ``first_phase``: the method whose trained model this one continues from. ``settings``: values that
    replace the encoder's. ``staged``: it trains a lambda module alone, on rows that its first phase held out.
    ``layers``: how many layers of the encoder it keeps, None for all.
    """

    flags: tuple[str, ...] = ()
    exits: tuple[str, ...] = (LAST_LAYER,)
    ponders: bool = False
    first_phase: str | None = None
    settings: dict[str, float] = field(default_factory=dict)
    staged: bool = False
    layers: int | None = None

    def exits_of(self, task: TaskDefinition) -> list[str]:
        """The rules to score on a task. For regression, patience needs a tolerance and there is no entropy."""
        if not task.regression:
            return list(self.exits)
        rules = [rule for rule in self.exits if not rule.startswith("entropy")]
        return [rule + ":0.2" if rule.startswith("patience") else rule for rule in rules]


METHODS = {
    "palbert": Method(exits=Q_EXIT, ponders=True),
    "pondernet": Method(("--lambda-module", "linear"), ("sampling:1", "q_exit:0.5", "expectation", LAST_LAYER),
                        ponders=True, settings={"beta": 0.01}),  # arXiv 2107.05407
    "pabee": Method(("--layer-weights", "linear", "--per-layer-classifier"), ("patience:2", LAST_LAYER)),
    "uniform": Method(("--layer-weights", "uniform", *EXIT_EACH), ("patience:2", LAST_LAYER)),
    "deebert": Method(("--layer-weights", "uniform", *EXIT_EACH, *SECOND_PHASE), ("entropy:0.3", LAST_LAYER),
                      first_phase="vanilla"),
    "fastbert": Method(("--layer-weights", "uniform", *EXIT_EACH, *SECOND_PHASE, "--distill-weight", "1",
                        "--distill-kl", "student_teacher"), ("entropy:0.3", LAST_LAYER), first_phase="vanilla"),
    "berxit": Method(("--layer-weights", "uniform", *EXIT_EACH, "--alternate-last", "--learned-exit"),
                     ("learned:0.2", LAST_LAYER)),
    "vanilla": Method(("--layer-weights", "last")),
}


def method_of(name: str) -> Method:
    """The method of this name. Raises UserError, naming the choices, where there is none."""
    if name in METHODS:
        return METHODS[name]
    if static := re.fullmatch(r"static([2-9]|[1-9][0-9]+)", name):
        flags = ("--layer-weights", "last", "--truncate-encoder", "--encoder-layers", static[1])
        return Method(flags, layers=int(static[1]))
    first_phase = name.removesuffix(STAGED)
    if name.endswith(STAGED) and first_phase in METHODS and first_phase != "vanilla":
        return Method(exits=Q_EXIT, first_phase=first_phase, staged=True)
    raise UserError(f"method={name}: choose from {', '.join(METHODS)}, static2, static3, ..., "
                    f"or any of them but vanilla and static with {STAGED} appended")


def of_depth(rules: Iterable[str], layers: int) -> list[str]:
    """The rules for a model of this many layers: its last one in place of fixed:N."""
    return [f"fixed:{layers}" if rule == LAST_LAYER else rule for rule in rules]
