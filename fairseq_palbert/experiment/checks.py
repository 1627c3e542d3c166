"""Checks of settings against the encoder, other runs and fairseq, before any work."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..binarized_files import PROVENANCE_FILE
from ..definitions.packaged import find_task
from ..errors import UserError
from . import launch
from .methods import Method, method_of, of_depth
from .pretrained import USUAL_ARCH, Start
from .settings import Settings

LEAST_CLASSES = 2  # of a task; one class alone is refused


@dataclass(frozen=True)
class TrainedModel:
    """What decides whether an exit rule fits: see ``exits.base.Model``."""

    depth: int
    outputs: int
    halts: bool
    learns_exit: bool


def parse_exits(rules: list[str], layers: int = 1) -> list:
    """The exit rules, with the number of layers in place of N. Raises UserError for one that is no rule."""
    from ..exits.registry import parse_rules  # imports torch, which is slow

    return parse_rules(of_depth(rules, layers))


def check_exits(settings: Settings, method: Method, start: Start) -> None:
    """Raises UserError for an exit rule that does not fit the model to be trained."""
    first = method_of(method.first_phase) if method.first_phase else Method()
    given = first.flags + method.flags, settings.first_train_flags, settings.extra_train_flags
    words = " ".join(word for flags in given for word in flags).replace("=", " ").split()
    value_of = dict(pairwise(words))
    lambda_module = value_of.get("--lambda-module", "mlp" if method.ponders or method.staged else "none")
    task = find_task(settings.task)
    outputs = LEAST_CLASSES if task.labels is None else task.outputs  # train has not been read yet
    model = TrainedModel(int(value_of.get("--encoder-layers", start.layers)), outputs, lambda_module != "none",
                         "--learned-exit" in words)
    for rule in parse_exits(settings.exits, model.depth):
        rule.check(model)


def check_flags(settings: Settings) -> None:
    """Raises UserError for flags that fairseq-train does not take."""
    method = method_of(settings.method)
    criterion = "ponder_classification" if method.ponders or method.staged else "multi_exit_classification"
    words = ["DATA", "--task", "glue", "--arch", settings.arch or USUAL_ARCH,
             "--optimizer", "ponder_adam", "--lr-scheduler", "polynomial_decay", "--criterion", criterion]
    try:
        launch.run(launch.python("fairseq_palbert.train_flags", *words, *settings.extra_train_flags))
    except UserError as error:
        raise UserError(f"extra_train_flags: {error}") from error


def check_folders(settings: Settings) -> None:
    """Raises UserError for the path of a folder that fairseq cannot use."""
    for name in ("run_dir", "first_run", "mnli_run", "pretrained_dir", "data"):
        if (path := getattr(settings, name)) and not path.isprintable():
            raise UserError(f"{name}={path!r} has characters that do not print, or bytes that are no UTF-8: choose "
                            "another folder")
    for name in ("run_dir", "data"):
        if ":" in (getattr(settings, name) or ""):
            raise UserError(f"{name}={getattr(settings, name)}: fairseq separates data folders by ':': choose a path "
                            "without one")


def check_preprocessed(settings: Settings) -> None:
    """Raises UserError where a later stage than preprocessing is to begin without its data."""
    about = Path(settings.run_dir, "data", find_task(settings.task).name, PROVENANCE_FILE)
    if 3 <= settings.stage <= 5 and not settings.data and not about.exists():
        raise UserError(f"{settings.run_dir} has no data: run stage 2 first")


def check_trained(settings: Settings, method: Method, trains: bool) -> None:
    """Raises UserError where a model that this run needs and does not train itself is missing."""
    for seed in settings.seeds:
        trained = f"stages/train-seed{seed}.done"
        if trains and settings.stage == 5 and not Path(settings.run_dir, trained).exists():
            raise UserError(f"{settings.run_dir} has no trained model of seed {seed}: run stage 4 first")
        if not trains and not Path(settings.mnli_run, trained).exists():
            task = find_task(settings.task)
            raise UserError(f"{task.name} is scored with {task.model_of}'s model, and mnli_run={settings.mnli_run} has "
                            f"none of seed {seed}: train {task.model_of} first")
        if method.first_phase and not method.staged and not Path(settings.first_run, trained).exists():
            raise UserError(f"method={settings.method} goes on from method={method.first_phase}, and "
                            f"first_run={settings.first_run} has none of seed {seed}: train that first")
