"""A checkpoint and a split, loaded by fairseq's own means, with every mistake of a user told in a line."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from fairseq import checkpoint_utils
from fairseq import tasks as fairseq_tasks
from torch import Tensor

from ..criterions.ponder_classification import PonderClassification
from ..errors import UserError
from ..glue.tasks import TASKS as GLUE_TASKS
from ..modules.pondering import PonderingClassifier
from ..ponder.prior import log_prior
from ..tasks.glue import GlueSentenceTask


@dataclass(frozen=True)
class Model:
    """A trained ``network`` in evaluation mode, float32, on the CPU; its ``task``, loaded with the data to score.

    ``prior`` is the prior of its training on layers 1..N, [N], or None where its criterion has none. ``updates`` counts
    the updates it was trained for.
    """

    network: PonderingClassifier
    task: GlueSentenceTask
    prior: Tensor | None
    updates: int


@dataclass(frozen=True)
class Split:
    """E examples: their token ids, their rows in the file, and their targets [E], None where labels are unknown.

    ``rows`` is the number of rows of the file, more than E where the split is a part of it.
    """

    name: str
    sentences: list[Tensor]
    ids: Tensor
    targets: Tensor | None
    rows: int


def load_model(checkpoint: Path, data: str, glue_task: str | None) -> Model:
    """Reads a checkpoint of this project for the data folder ``data``; ``glue_task`` overrides the checkpoint's task.

    Raises UserError for a file that is missing, truncated, or no such checkpoint, and for data that does not fit it.
    """
    trained_with = _check(checkpoint)
    overrides = {"data": data, "ignore_unused_valid_subsets": True} | ({"glue_task": glue_task} if glue_task else {})
    state = checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint), overrides)
    task = fairseq_tasks.setup_task(state["cfg"].task)
    _check_labels(checkpoint, trained_with, task)
    task.check_checkpoint(str(checkpoint), state)
    (model,), cfg, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], task=task, state=state)
    criterion = task.build_criterion(cfg.criterion)
    prior = _prior(criterion, model.network.depth) if isinstance(criterion, PonderClassification) else None
    history = state.get("optimizer_history") or [{}]
    return Model(model.network.float().eval(), task, prior, history[-1].get("num_updates", 0))


def load_split(task: GlueSentenceTask, name: str) -> Split:
    """Raises UserError where the data folder has no such split."""
    dataset = task.load_dataset(name)
    examples = sorted((dataset[i] for i in range(len(dataset))), key=lambda example: example["id"])
    targets = torch.stack([example["target"] for example in examples]) if "target" in examples[0] else None
    ids = torch.tensor([example["id"] for example in examples])
    return Split(name, [example["tokens"] for example in examples], ids, targets, len(dataset.split))


def _check(checkpoint: Path) -> dict:
    """The task's part of the checkpoint's configuration. The file is mapped, not read: fairseq reads it afterwards."""
    if not checkpoint.is_file():
        raise UserError(f"{checkpoint}: no such checkpoint file")
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        reason = str(error).strip().split("\n")[0][:120]
        raise UserError(f"{checkpoint}: truncated, or not a checkpoint of fairseq_palbert ({reason})") from error
    except OSError as error:
        raise UserError(f"{checkpoint}: {error.strerror}") from error
    cfg = state.get("cfg") if isinstance(state, dict) else None
    task = cfg.get("task") if isinstance(cfg, dict) else None
    if not isinstance(task, dict) or "model" not in state:
        raise UserError(f"{checkpoint}: not a checkpoint of fairseq_palbert (it has no task configuration or no model)")
    if task.get("_name") != "glue":
        raise UserError(f"{checkpoint}: trained with --task {task.get('_name')}: only --task glue can be scored")
    return task


def _check_labels(checkpoint: Path, trained_with: dict, task: GlueSentenceTask) -> None:
    """The classifier's outputs mean what the task to score takes them for."""
    order = trained_with.get("label_order")
    trained = tuple(order.split(",")) if order else GLUE_TASKS[trained_with["glue_task"]].labels
    if trained != task.labels:
        raise UserError(f"{checkpoint}: trained for {trained_with['glue_task']} ({', '.join(trained) or 'scores'}), "
                        f"which does not fit {task.glue_task.name} ({', '.join(task.labels) or 'scores'}): "
                        f"check --glue-task")


def _prior(criterion: PonderClassification, depth: int) -> Tensor:
    objective = criterion.objective(depth)
    return log_prior(objective.prior, depth, objective.lambda_p, objective.prior_remainder).exp()
