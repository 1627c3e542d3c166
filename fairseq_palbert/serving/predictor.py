"""Predict labels, probabilities and exit layers of texts with an exported model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..checkpoints.formats.model_folder import CONFIG_FILE, REMEDY, ModelCard, read_model
from ..definitions.definition import TaskDefinition
from ..errors import UserError
from ..exits.base import AllDepthsRule, Rule
from ..exits.registry import parse_rule
from ..inference.engine import Workload, decide
from ..inference.flags import device_of, fitting_window
from ..inference.for_inference import DTYPES, for_inference
from ..inference.window import Window
from ..modules.pondering import PonderingClassifier
from ..tokenization.assembly import example, kept_lengths
from ..tokenization.identity import Identity, check_identity, identity_of
from ..tokenization.vocabulary import DICTIONARY_FILE, Vocabulary
from .texts import check_text

Example = str | Sequence[str]  # a sentence, or a pair of them
LARGEST_ID = 2**62


@dataclass(frozen=True)
class Prediction:
    """The answer to one example.

    ``label`` is the name of the class, and ``probabilities`` are those of all classes in the order of the predictor's
    ``labels``. For regression ``label`` is the value and ``probabilities`` is None. ``exit_layer`` is in 1..N.
    ``truncated``: the example has more tokens than the model takes, and the last ones were dropped.
    """

    label: str | float
    probabilities: tuple[float, ...] | None
    exit_layer: int
    truncated: bool = False

    @property
    def probability(self) -> float | None:
        """The probability of the label; None for regression."""
        return None if self.probabilities is None else max(self.probabilities)


@dataclass(frozen=True)
class PalbertPredictor:
    """A trained model for prediction. It is immutable, so threads may share it."""

    network: PonderingClassifier
    vocabulary: Vocabulary
    task: TaskDefinition
    max_positions: int
    device: torch.device
    window: Window

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the class ids; empty for regression."""
        return self.task.labels

    @classmethod
    def from_pretrained(cls, folder: str | Path, dtype: str = "float32", device: str = "cpu") -> Self:
        """Reads a folder of ``palbert export``; for ``dtype`` see ``inference.for_inference``.

        ``device`` is a device by torch's name. Raises UserError for a folder that is damaged or holds another tokenizer
        than the model's, and for a dtype or device that is not available.
        """
        folder, device = Path(folder), device_of(device)
        if dtype not in DTYPES:
            raise UserError(f"dtype {dtype!r}: choose from {', '.join(DTYPES)}")
        network, card = read_model(folder)
        vocabulary = _vocabulary(folder, card, network.encoder.shape.vocabulary)
        network = for_inference(network, dtype, device)
        return cls(network, vocabulary, card.task, card.max_positions, device,
                   fitting_window(network, device))

    def predict(self, examples: Iterable[Example], rule: str | Rule = "q_exit:0.5", batch: int | None = None,
                first_id: int = 0) -> list[Prediction]:
        """The predictions, in the order of the examples: sentences, or pairs where the model's task has pairs.

        ``rule`` is an exit rule, or its specification as for ``--exit``. ``batch`` is the number of sentences computed
        at a time; None fills the engine's window. ``first_id`` is the id of the first example. Rules that draw random
        numbers use the ids, so a stream gets the same numbers however it is cut into calls. Raises UserError for an
        example of another form, for another value of these three, for a rule that does not fit the model, and for an
        answer that is not finite.
        """
        rule = parse_rule(rule) if isinstance(rule, str) else rule
        if not isinstance(rule, Rule):
            raise UserError(f"rule {rule!r:.60}: give an exit rule or its specification, such as q_exit:0.5")
        rule.check(self.network)
        if batch is not None and (not isinstance(batch, int | np.integer) or batch < 1):
            raise UserError(f"batch {batch!r:.60}: at least 1 sentence at a time, or None")
        if not isinstance(first_id, int | np.integer) or not 0 <= first_id <= LARGEST_ID:
            raise UserError(f"first_id {first_id!r:.60}: give an integer from 0 to {LARGEST_ID}")
        window = self.window if batch is None else replace(self.window, sentences=batch)
        sentences, truncated = self._tokenized(examples)
        if not sentences:
            return []
        ids = torch.arange(len(sentences)) + int(first_id)
        decided = decide(self.network, rule, Workload(sentences, window, self.device, ids))
        outputs, exit_layers = decided.outputs, decided.exit_layers.tolist()
        if not (finite := outputs.isfinite().all(1)).all():
            raise UserError(f"example {first_id + finite.tolist().index(False)}: the answer is NaN or infinite, since "
                            "the model's numbers are too large: use dtype float32, or another model")
        if self.task.regression:
            return [Prediction(value, None, layer, cut)
                    for value, layer, cut in zip(outputs.squeeze(1).tolist(), exit_layers, truncated)]
        # a rule over all depths returns a mixture of probabilities
        probabilities = outputs if isinstance(rule, AllDepthsRule) else outputs.softmax(1)
        rows = zip(outputs.argmax(1).tolist(), probabilities.tolist(), exit_layers, truncated)
        return [Prediction(self.labels[label], tuple(row), layer, cut) for label, row, layer, cut in rows]

    def tokens(self, examples: Iterable[Example]) -> list[Tensor]:
        """The token ids of each example, assembled and truncated as in training. Shape: [T_i] each."""
        return self._tokenized(examples)[0]

    def _tokenized(self, examples: Iterable[Example]) -> tuple[list[Tensor], list[bool]]:
        """The token ids of each example, and whether it is truncated. Shape: [T_i] each."""
        if isinstance(examples, str | bytes | Mapping) or not isinstance(examples, Iterable):
            raise UserError(f"predict takes a list of examples, not {examples!r:.60}: put it into a list")
        checked = [self._sentences(place, content) for place, content in enumerate(examples)]
        columns = [self.vocabulary.encode(column) for column in zip(*checked)]
        if not columns:
            return [], []
        separators = self.vocabulary.separators
        lengths = [np.array([len(ids) - 1 for ids in column]) for column in columns]  # without </s>
        kept = kept_lengths(lengths, separators, self.max_positions)
        truncated = np.any([shorter < length for shorter, length in zip(kept, lengths)], axis=0)
        return [example(list(map(torch.from_numpy, sentences)), lengths, separators)
                for sentences, lengths in zip(zip(*columns), zip(*kept))], truncated.tolist()

    def _sentences(self, place: int, content: Example) -> tuple[str, ...]:
        sentences = (content,) if isinstance(content, str) else content
        wanted = len(self.task.sentences)
        if (not isinstance(sentences, list | tuple) or len(sentences) != wanted
                or not all(isinstance(sentence, str) for sentence in sentences)):
            raise UserError(f"example {place} is {content!r:.60}: this model of {self.task.name} takes "
                            f"{'pairs of texts' if wanted == 2 else 'single texts'}")
        for sentence in sentences:
            try:
                check_text(sentence)
            except ValueError as error:
                raise UserError(f"example {place}: {error}") from error
        return tuple(sentences)


def _vocabulary(folder: Path, card: ModelCard, embedded: int) -> Vocabulary:
    """The vocabulary of the folder. Raises UserError where the model was trained with another."""
    vocabulary = Vocabulary(folder, card.detokenized)
    trained = Identity(card.tokenizer, card.dictionary, embedded, card.detokenized)
    check_identity(f"the model of {folder / CONFIG_FILE}", trained, folder, folder / DICTIONARY_FILE,
                   identity_of(vocabulary), REMEDY)
    return vocabulary
