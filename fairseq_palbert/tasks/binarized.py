"""Read binarized GLUE data and check it against the task.

The data comes from ``palbert data`` or from fairseq's own GLUE script.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils
from torch import Tensor

from ..errors import UserError
from ..glue.definitions import GlueTask
from ..tokenization.special_tokens import MASK
from .dataset import TokenizedSplit

logger = logging.getLogger(__name__)
REMEDY = "make the data with palbert data"
RECORD_KEYS = ["name", "separators", "sha256"]
ROBERTA_SEPARATORS = 2  # of fairseq's own script, which writes data for RoBERTa and no glue.json


class BinarizedFolder:
    """``DATA/{input0,input1,label}`` of one task, with or without the ``glue.json`` of ``palbert data``.

    ``tokenizer`` is the record of the tokenizer that made the data (``name``, ``separators``, ``sha256``), None without
    ``glue.json``. The last entry of ``dictionary`` is ``<mask>``.
    """

    def __init__(self, folder: str | Path, task: GlueTask, labels: Sequence[str]):
        """``labels`` is the order of the class ids.

        Raises UserError where the folder does not hold this task's data.
        """
        self.folder = Path(folder)
        self.task = task
        self.labels = tuple(labels)
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such data folder; {REMEDY}")
        self.tokenizer = self._read_provenance()
        self.inputs = [self.folder / f"input{i}" for i in range(len(task.sentences))]
        if len(self.inputs) == 1 and (self.folder / "input1").is_dir():
            raise UserError(f"{self.folder}: holds sentence pairs, but {task.name} has single sentences; check "
                            "--glue-task")
        self.dictionary = self._load_dictionary(self.inputs[0])
        self.dictionary.add_symbol(MASK)

    @property
    def separators(self) -> int:
        """The number of ``</s>`` between the two sentences of a pair."""
        return self.tokenizer["separators"] if self.tokenizer else ROBERTA_SEPARATORS

    def _read_provenance(self) -> dict | None:
        path = self.folder / "glue.json"
        if not path.exists():
            return None
        try:
            provenance = json.loads(path.read_text())
            made_for, tokenizer = provenance["task"], provenance.get("tokenizer")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not readable ({error}); {REMEDY}") from None
        if made_for != self.task.name:
            raise UserError(f"{self.folder}: holds {made_for}, not {self.task.name}; change --glue-task or the data "
                            "folder")
        if not isinstance(tokenizer, dict) or sorted(tokenizer) != RECORD_KEYS:
            raise UserError(f"{path}: its tokenizer is not recorded as this version does; {REMEDY} --overwrite")
        return tokenizer

    def _load_dictionary(self, folder: Path) -> Dictionary:
        path = folder / "dict.txt"
        if not path.is_file():
            raise UserError(f"{path}: no such dictionary; {REMEDY}")
        try:
            return Dictionary.load(str(path))
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path}: not a fairseq dictionary ({error}); {REMEDY}") from None

    def load(self, split: str) -> TokenizedSplit:
        """The sentences and targets of a split.

        Raises UserError for a missing split, unknown labels, scores out of range and files of different length. Only
        test splits may lack labels.
        """
        sentences = [self._load_indexed(folder / split) for folder in self.inputs]
        targets = self._scores(split) if self.task.regression else self._class_ids(split)
        if targets is None and not split.startswith("test"):
            raise UserError(f"{self.folder / 'label'}: no labels of split {split!r}, which needs them; {REMEDY}")
        for part in (*sentences[1:], *([] if targets is None else [targets])):
            if len(part) != len(sentences[0]):
                raise UserError(f"{self.folder}: the files of split {split!r} have {len(sentences[0])} and {len(part)} "
                                f"rows; {REMEDY}")
        return TokenizedSplit(sentences, targets, self.separators)

    def _load_indexed(self, path: Path):
        dataset = data_utils.load_indexed_dataset(str(path), self.dictionary) if _both_files(path) else None
        if dataset is None or len(dataset) == 0:
            raise UserError(f"{path}.bin, .idx: no such split, or an empty one; {REMEDY}")
        return dataset

    def _class_ids(self, split: str) -> Tensor | None:
        path = self.folder / "label" / split
        if not _both_files(path):
            return None
        dictionary = self._load_dictionary(path.parent)
        class_id = {dictionary.index(label): i for i, label in enumerate(self.labels) if label in dictionary}
        stored = [int(row[0]) for row in data_utils.load_indexed_dataset(str(path), dictionary)]
        for row, index in enumerate(stored):
            if index not in class_id:
                raise UserError(f"{path}.bin: row {row} has label {dictionary[index]!r}, but {self.task.name} has "
                                f"{', '.join(self.labels)}; check --glue-task")
        return torch.tensor([class_id[index] for index in stored])

    def _scores(self, split: str) -> Tensor | None:
        path = self.folder / "label" / f"{split}.label"
        if not path.exists():
            return None
        scores = _read_scores(path) * self._score_scale()
        low, high = self.task.score_range
        for row, score in enumerate(scores):
            if not low <= score <= high:
                raise UserError(f"{path}: row {row} has score {score:g}, outside {low:g}..{high:g}; {REMEDY}")
        return torch.from_numpy(scores)

    def _score_scale(self) -> float:
        """The factor that restores the scores: 1, or 5 for STS-B data of fairseq's own script, which divides by 5."""
        if self.tokenizer or max(_read_scores(path).max() for path in self.folder.glob("label/*.label")) > 1:
            return 1.0
        scale = self.task.score_range[1]
        logger.info(f"{self.folder}: scores within 0..1, as fairseq's own script leaves them: multiplied by {scale:g}")
        return scale


def _both_files(path: Path) -> bool:
    return all(path.with_name(path.name + ending).is_file() for ending in (".bin", ".idx"))


def _read_scores(path: Path) -> np.ndarray:
    try:
        scores = np.array([float(line) for line in path.read_text().splitlines()])
    except ValueError as error:
        raise UserError(f"{path}: {error}; one number a line is expected; {REMEDY}") from None
    if not len(scores):
        raise UserError(f"{path}: empty; {REMEDY}")
    return scores
