"""The arguments of fairseq-train that decide a run's result."""

from collections.abc import Sequence

from ..definitions.packaged import find_task
from ..errors import UserError
from .methods import Method, method_of, of_depth
from .pretrained import Start
from .settings import Settings


def model_flags(settings: Settings, start: Start, seed: int, workers: int) -> list[str]:
    """The flags for complete settings. Raises UserError where a batch does not divide among the workers."""
    method, task = method_of(settings.method), find_task(settings.task)
    valid = list(task.valid_splits)
    if settings.select_on == "holdout":
        valid = ["holdout", *valid]
    if method.staged:
        valid = ["calibration"]
    # the loss of all exits, since the second phase does not change the last one's score
    best = ["loss"] if method.first_phase else ["score", "--maximize-best-checkpoint-metric"]
    return [
        "--task", "glue", "--glue-task", task.name,
        *words("max_positions", "length_pool", "holdout_fraction", of=settings),
        "--valid-subset", ",".join(valid), *words("train_examples", of=settings),
        "--arch", start.arch, *start.flags,
        *words("dropout", of=settings), "--attention-dropout", word(settings.dropout),
        "--optimizer", "ponder_adam", *words("adam_betas", "adam_eps", "weight_decay", "clip_norm", "lr", of=settings),
        "--lr-scheduler", "polynomial_decay", "--total-num-update", word(settings.max_update),
        "--warmup-updates", word(int(settings.warmup * settings.max_update)),
        *words("max_update", "max_epoch", "patience", of=settings), "--seed", word(seed),
        "--best-checkpoint-metric", *best, "--no-epoch-checkpoints",
        "--batch-size", word(batch_size(settings, workers)), "--update-freq", word(settings.update_freq),
        *method_flags(method, settings), *_start_flags(method, settings, start, seed),
        *(["--fresh-heads"] if settings.fresh_heads else []), *settings.extra_train_flags,
    ]


def batch_size(settings: Settings, workers: int) -> int:
    """Sentences in a batch: those of an update, divided among the workers and the batches of an update."""
    size, left = divmod(settings.batch, workers * settings.update_freq)
    if left:
        raise UserError(f"batch={settings.batch} sentences do not divide into {workers} workers x "
                        f"update_freq={settings.update_freq}")
    return size


def method_flags(method: Method, settings: Settings) -> list[str]:
    if method.staged:
        every = word((settings.gate_updates + 9) // 10)
        return [
            # An epoch takes less time than the start of a data-loading process, so there is none, and updates instead
            # of epochs decide when to validate and save.
            "--train-subset", "gate", "--num-workers", "0", "--validate-interval", "1000000",
            "--save-interval", "1000000", "--save-interval-updates", every,
            "--train-only", "lambda", "--lambda-reads", "both", "--lambda-width", "128", "--lambda-depth", "1",
            "--criterion", "ponder_classification", "--halting-target", settings.gate_target,
            "--layer-cost", word(settings.layer_cost[0]), "--prior", "uniform", "--beta", word(settings.gate_beta),
        ]
    if method.ponders:
        pondering = words("beta", "lambda_lr", "prior_lambda", of=settings)
        return ["--criterion", "ponder_classification", *pondering, *method.flags]
    return ["--criterion", "multi_exit_classification", *method.flags, "--lambda-module", "none"]


def _start_flags(method: Method, settings: Settings, start: Start, seed: int) -> list[str]:
    if method.first_phase:
        first = f"{settings.first_run}/seed{seed}"
        pooled = ["--pooled-states", f"{first}/pooled.safetensors"] if method.staged else []
        return ["--finetune-from-model", f"{first}/checkpoints/checkpoint_best.pt", *pooled]
    return ["--finetune-from-model", str(start.checkpoint)] if start.checkpoint else []


def words(*names: str, of: Settings) -> list[str]:
    """The flags of the settings with these names; a setting that is None has no flag."""
    values = {"--" + name.replace("_", "-"): getattr(of, name) for name in names}
    return [text for flag, value in values.items() if value is not None for text in (flag, word(value))]


def word(value: float | str) -> str:
    """The text of a number without leading zeros in the exponent: 2e-5 for 2e-05."""
    return str(value).replace("e-0", "e-") if isinstance(value, float) else str(value)


def exit_flags(rules: Sequence[str], layers: int) -> list[str]:
    return [text for rule in of_depth(rules, layers) for text in ("--exit", rule)]
