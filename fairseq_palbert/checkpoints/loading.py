"""Load a trained model from a checkpoint or an exported folder.

fairseq's own functions load a checkpoint of ``fairseq-train``; ``formats.model_folder`` reads an exported folder.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from fairseq import checkpoint_utils
from fairseq import tasks as fairseq_tasks
from fairseq.tasks import FairseqTask
from omegaconf import DictConfig
from torch import Tensor

from ..criterions.ponder_classification import PonderClassification
from ..errors import UserError
from ..families import family_of
from ..glue.definitions import glue_task as find_task
from ..glue.definitions import label_order
from ..modules.pondering import PonderingClassifier
from ..ponder.prior import log_prior
from ..tasks.glue_task import GlueConfig, GlueSentenceTask
from .formats.model_folder import read_model


@dataclass(frozen=True)
class Model:
    """A trained ``network`` in evaluation mode, float32, on the CPU, and its ``task`` with the data to score.

    ``prior`` is the prior of its training over layers 1..N, [N], or None where its criterion has none. ``updates`` is
    the number of training updates. ``settings`` are the flags that runs are compared by, empty for an exported folder.
    ``family`` is the family of its encoder, a name in ``families``.
    """

    network: PonderingClassifier
    task: GlueSentenceTask
    prior: Tensor | None
    updates: int
    settings: dict[str, str | float]
    family: str


def load_model(checkpoint: Path, data: str, glue_task: str | None) -> Model:
    """Loads a checkpoint, or the folder it was exported to, to score the data folder ``data``.

    ``glue_task`` overrides the model's own task. Raises UserError for a file that is missing, truncated, or not a
    checkpoint of this project, and for data that does not fit it.
    """
    return (_load_exported if checkpoint.is_dir() else _load_checkpoint)(checkpoint, data, glue_task)


def _load_checkpoint(checkpoint: Path, data: str, glue_task: str | None) -> Model:
    trained_with = check_checkpoint(checkpoint)
    task_name, labels = glue_task or trained_with["glue_task"], label_order(trained_with)
    _check_labels(checkpoint, trained_with["glue_task"], labels, task_name)
    overrides = {"data": data, "glue_task": task_name, "label_order": ",".join(labels) or None,
                 "ignore_unused_valid_subsets": True}
    state = checkpoint_utils.load_checkpoint_to_cpu(str(checkpoint), overrides)
    task = fairseq_tasks.setup_task(state["cfg"].task)
    task.check_checkpoint(str(checkpoint), state)
    return model_of(checkpoint, state, task)


def _load_exported(folder: Path, data: str, glue_task: str | None) -> Model:
    network, card = read_model(folder)
    task_name = glue_task or card.glue_task
    _check_labels(folder, card.glue_task, tuple(card.labels), task_name)
    task = GlueSentenceTask.setup_task(GlueConfig(
        data=data, glue_task=task_name, label_order=",".join(card.labels) or None, max_positions=card.max_positions,
        holdout_fraction=card.holdout_fraction, train_examples=card.train_examples, ignore_unused_valid_subsets=True,
    ))
    trained_on = {"tokenizer": card.tokenizer, "dictionary": card.dictionary}
    task.check_checkpoint(str(folder), {"model": network.state_dict(), "task_state": trained_on})
    prior = None if card.prior is None else torch.tensor(card.prior, dtype=torch.float64)
    return Model(network.float(), task, prior, card.updates, {}, card.family)


def model_of(checkpoint: Path, state: dict, task: FairseqTask) -> Model:
    """The model of the ``state`` that ``checkpoint_utils.load_checkpoint_to_cpu`` returns.

    Only ``glue_task`` and ``source_dictionary`` of ``task`` are used.
    """
    (model,), cfg, _ = checkpoint_utils.load_model_ensemble_and_task([str(checkpoint)], task=task, state=state)
    criterion = task.build_criterion(cfg.criterion)
    prior = _prior(criterion, model.network.depth) if isinstance(criterion, PonderClassification) else None
    history = state.get("optimizer_history") or [{}]
    updates, family = history[-1].get("num_updates", 0), family_of(cfg.model._name).name
    return Model(model.network.float().eval(), task, prior, updates, _settings(cfg), family)


def check_checkpoint(checkpoint: Path) -> dict:
    """The task's configuration in the checkpoint. The file is mapped into memory, since fairseq reads it afterwards.

    Raises UserError for a file that is missing, truncated, or not a checkpoint of a GLUE model of this project.
    """
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


def _check_labels(name: Path, trained_for: str, labels: tuple[str, ...], task_name: str) -> None:
    """Raises UserError where the model's ``labels`` are not those of the task to score."""
    task_labels = find_task(task_name).labels
    if sorted(labels) != sorted(task_labels):
        raise UserError(f"{name}: trained for {trained_for} ({', '.join(labels) or 'scores'}), which does not fit "
                        f"{task_name} ({', '.join(task_labels) or 'scores'}): check --glue-task")


def _prior(criterion: PonderClassification, depth: int) -> Tensor:
    objective = criterion.objective(depth)
    return log_prior(objective.prior, depth, objective.lambda_p, objective.prior_remainder).exp()


def _settings(cfg: DictConfig) -> dict[str, str | float]:
    """What runs are compared by: architecture, learning rate, seed, and every flag of the criterion that is set."""
    criterion = {name: value for name, value in cfg.criterion.items() if name != "_name" and value is not None}
    return {"arch": cfg.model._name, "criterion": cfg.criterion._name, "lr": cfg.optimization.lr[0],
            "seed": cfg.common.seed, **criterion}
