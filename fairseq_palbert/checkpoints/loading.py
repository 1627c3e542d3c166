"""Load a trained model from a checkpoint or an exported folder.

A checkpoint is data: its configuration is checked, and fairseq's own functions, which evaluate strings of it, are not
called. ``formats.model_folder`` reads an exported folder.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from ..criterions.act import ActConfig
from ..criterions.ponder_classification import PonderClassification, PonderClassificationConfig
from ..definitions.definition import TaskDefinition
from ..errors import UserError
from ..files import check_regular
from ..models.ponder_rnn import recurrent_heads, recurrent_shape
from ..models.starting_weights import StartingPoint, has_classifier
from ..modules.encoder import Encoder
from ..modules.pondering import PonderingClassifier
from ..modules.recurrent import RecurrentEncoder
from ..modules.without_memory import without_memory
from ..ponder.prior import log_prior
from ..tasks.early_exit_task import EarlyExitTask
from ..tasks.parity import ParityConfig, ParityTask
from ..tasks.sentence_task import SentenceConfig, SentenceTask
from ..tasks.trained_task import trained_task
from .configuration import (
    compared_settings,
    criterion_configuration,
    model_configuration,
    recurrent_configuration,
    task_configuration,
)
from .formats.checkpoint_file import REMEDY, read_checkpoint, updates_of
from .formats.encoder_source import TOKENS, check_layers, shape_of
from .formats.model_folder import read_model
from .formats.names import NETWORK


@dataclass(frozen=True)
class Trained:
    """A trained ``network`` in evaluation mode, float32, on the CPU.

    ``prior`` is the prior of its training over layers 1..N, [N], or None where its criterion has none. ``updates`` is
    the number of training updates. ``family`` is the family of its encoder, a name in ``families``, None for a
    recurrent cell.
    """

    network: PonderingClassifier
    prior: Tensor | None
    updates: int
    family: str | None


@dataclass(frozen=True)
class Model(Trained):
    """A trained model and its ``task`` with the data to score.

    ``settings`` are the flags that runs are compared by, empty for an exported folder.
    """

    task: EarlyExitTask
    settings: dict[str, str | float]


def load_model(checkpoint: Path, data: str | None, glue_task: str | None) -> Model:
    """Loads a checkpoint, or the folder it was exported to, to score the data folder ``data``.

    A model of parity has none. ``glue_task`` overrides the model's own task. Raises UserError for a file that is
    missing, truncated, or not a checkpoint of this project, and for data that does not fit it.
    """
    return (_load_exported if checkpoint.is_dir() else _load_checkpoint)(checkpoint, data, glue_task)


def _load_checkpoint(checkpoint: Path, data: str | None, glue_task: str | None) -> Model:
    state, trained_with = read_trained(checkpoint)
    if isinstance(trained_with, ParityConfig):
        if data or glue_task:
            raise UserError(f"{checkpoint}: trained with --task parity, which draws its data: drop --data and "
                            "--glue-task")
        task = ParityTask(replace(trained_with, seed=1))
    else:
        task = _task(replace(trained_with, data=_given(checkpoint, data)), trained_task(str(checkpoint), state),
                     glue_task)
        task.check_checkpoint(str(checkpoint), state)
    trained = trained_model(checkpoint, state, trained_with, task.definition)
    return Model(**vars(trained), task=task, settings=compared_settings(str(checkpoint), state))


def _given(model: Path, data: str | None) -> str:
    if data is None:
        raise UserError(f"{model}: --data is missing: give the folder of the binarized task")
    return data


def _load_exported(folder: Path, data: str | None, glue_task: str | None) -> Model:
    network, card = read_model(folder)
    task = _task(SentenceConfig(data=_given(folder, data), max_positions=card.max_positions,
                            holdout_fraction=card.holdout_fraction, train_examples=card.train_examples), card.task,
                 glue_task)
    trained_on = {"tokenizer": card.tokenizer, "dictionary": card.dictionary, "detokenized": card.detokenized}
    task.check_checkpoint(str(folder), {"model": network.state_dict(), "task_state": trained_on})
    prior = None if card.prior is None else torch.tensor(card.prior, dtype=torch.float64)
    return Model(network.float(), prior, card.updates, card.family, task, {})


def _task(trained_with: SentenceConfig, trained_for: TaskDefinition, name: str | None) -> SentenceTask:
    """The task to score, by default the one that the model was trained for.

    Raises UserError where the model's labels, or its number of sentences, are not those of the task.
    """
    settings = replace(trained_with, glue_task=name or trained_for.name, ignore_unused_valid_subsets=True)
    task = SentenceTask(settings, trained_for.labels)
    held, read = len(task.definition.sentences), len(trained_for.sentences)
    if held != read:
        raise UserError(f"{trained_with.data}: holds {held} sentence{'s' * (held > 1)} an example, and the model of "
                        f"{trained_for.name} reads {read}: give data that was made as the model's")
    return task


def read_trained(checkpoint: Path) -> tuple[dict[str, Any], SentenceConfig | ParityConfig]:
    """The checkpoint and its task's configuration.

    Raises UserError for a file that is missing, damaged, or not a checkpoint of a model of this project.
    """
    check_regular(checkpoint, REMEDY)
    state = read_checkpoint(checkpoint)
    trained_with = task_configuration(str(checkpoint), state)
    if not has_classifier(state["model"]):
        raise UserError(f"{checkpoint} is an encoder without a classifier: there is no early-exit model in it")
    return state, trained_with


def check_trained(checkpoint: str) -> None:
    """Raises UserError for a file that is not a checkpoint of a model of this project.

    fairseq's own commands build what a checkpoint names, and evaluate strings of its configuration.
    """
    state, trained_with = read_trained(Path(checkpoint))
    recurrent = isinstance(trained_with, ParityConfig)
    (recurrent_configuration if recurrent else model_configuration)(checkpoint, state)
    criterion_configuration(checkpoint, state)


def trained_model(checkpoint: Path, state: dict[str, Any], trained_with: SentenceConfig | ParityConfig,
                  task: TaskDefinition) -> Trained:
    """The trained model in the checkpoint's ``state``, for a task with the labels of the one it was trained for.

    Raises UserError where its tensors do not fit its settings, or the settings each other, and for ACT.
    """
    name, weights = str(checkpoint), state["model"]
    criterion = criterion_configuration(name, state)
    if isinstance(criterion, ActConfig):
        raise UserError(f"{name}: trained with --criterion act, whose answer is a mean over steps that no exit rule "
                        "gives: score it with fairseq-validate")
    with without_memory():  # the tensors are those of the file
        if isinstance(trained_with, ParityConfig):
            network, family = _recurrent_network(name, state, trained_with, task), None
        else:
            network, family = _text_network(name, state, trained_with, task)
    fresh = {NETWORK + tensor: value for tensor, value in network.state_dict().items()}
    StartingPoint(name).check_fit(weights, fresh)
    # cloned: tensors of the file lie at unaligned addresses, where matrix products may round differently
    network.load_state_dict({tensor.removeprefix(NETWORK): value.clone() for tensor, value in weights.items()},
                            assign=True)
    prior = None
    if isinstance(criterion, PonderClassificationConfig):
        objective = PonderClassification(criterion, SimpleNamespace(definition=task)).objective(network.depth)
        prior = log_prior(objective.prior, network.depth, objective.lambda_p, objective.prior_remainder).exp()
    return Trained(network.float().eval(), prior, updates_of(name, state), family)


def _text_network(name: str, state: dict[str, Any], trained_with: SentenceConfig,
                  task: TaskDefinition) -> tuple[PonderingClassifier, str]:
    """The network without its weights, and the name of its family."""
    configuration, weights = model_configuration(name, state), state["model"]
    shape = shape_of(name, configuration.family, configuration.encoder, len(weights.get(TOKENS, ())))
    check_layers(name, shape, weights)
    if trained_with.max_positions > shape.max_positions:
        raise UserError(f"{name}: max_positions {trained_with.max_positions} is more than the encoder has, "
                        f"{shape.max_positions}: train it again")
    heads = replace(configuration.heads, outputs=task.outputs)
    return PonderingClassifier(Encoder(shape), heads), configuration.family.name


def _recurrent_network(name: str, state: dict[str, Any], trained_with: ParityConfig,
                       task: TaskDefinition) -> PonderingClassifier:
    """The network without its weights."""
    configuration = recurrent_configuration(name, state)
    try:
        shape = recurrent_shape(configuration, trained_with.vector_size)
        return PonderingClassifier(RecurrentEncoder(shape), recurrent_heads(configuration, task.outputs))
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
