"""Read binarized data and check it against the task.

The data comes from ``palbert data`` or from fairseq's own GLUE script.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.data.indexed_dataset import MMapIndexedDataset
from torch import Tensor

from ..binarized_files import FAIRSEQS_LOG, PROVENANCE_FILE
from ..definitions.definition import TaskDefinition
from ..definitions.metrics.answer_text import text_scores
from ..definitions.packaged import in_order, packaged_task
from ..errors import UserError
from ..files import check_regular, read_text
from ..numbers_from_text import finite_float
from ..tokenization.dictionary_file import read_symbols
from ..tokenization.special_tokens import MASK
from .dataset import TokenizedSplit
from .group_file import group_file, read_groups
from .indexed_rows import open_rows
from .provenance import Provenance

logger = logging.getLogger(__name__)
REMEDY = "make the data with palbert data"
ROBERTA_SEPARATORS = 2  # of fairseq's own script, which writes data for RoBERTa and no glue.json


class BinarizedFolder:
    """``DATA/{input0,input1,label}`` of one task, by ``palbert data`` or by fairseq's own script.

    ``task`` is its definition, with the labels in the order of the class ids. ``provenance`` is what ``palbert data``
    recorded of its data, None for data of fairseq's own script. The last entry of ``dictionary`` is ``<mask>``.
    """

    def __init__(self, folder: str | Path, name: str | None = None, labels: Sequence[str] | None = None):
        """``name``: the task that the folder should hold; data of fairseq's own script does not say it.

        ``labels``: in the order of the class ids, by default that of the definition. Raises UserError where the folder
        holds no data, that of another task, or other labels.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: no such data folder; {REMEDY}")
        self.provenance = self._read_provenance()
        self.task = self._definition(name, labels)
        self.inputs = [self.folder / f"input{i}" for i in range(len(self.task.sentences))]
        if len(self.inputs) == 1 and (self.folder / "input1").is_dir():
            raise UserError(f"{self.folder}: holds sentence pairs, but {self.task.name} has single sentences; check "
                            "--glue-task")
        self.dictionary, *others = map(self._load_dictionary, self.inputs)
        if any(other.symbols != self.dictionary.symbols for other in others):
            raise UserError(f"{self.folder}: input0 and input1 have different dictionaries; {REMEDY}")
        self.dictionary.add_symbol(MASK)

    @property
    def separators(self) -> int:
        """The number of ``</s>`` between the two sentences of a pair."""
        return self.provenance.tokenizer["separators"] if self.provenance else ROBERTA_SEPARATORS

    def _read_provenance(self) -> Provenance | None:
        if not (self.folder / PROVENANCE_FILE).exists() and (self.folder / FAIRSEQS_LOG).exists():
            return None
        return Provenance.read(self.folder)

    def _definition(self, name: str | None, labels: Sequence[str] | None) -> TaskDefinition:
        if self.provenance is None:
            if name is None:
                raise UserError(f"{self.folder}: made by fairseq's own script, and does not say of which task: add "
                                "--glue-task")
            task = packaged_task(name)
        else:
            task = self.provenance.task
            if name not in (None, task.name):
                raise UserError(f"{self.folder}: holds {task.name}, not {name}; change --glue-task or the data folder")
        try:
            return task if labels is None else in_order(task, labels)
        except ValueError as error:
            raise UserError(f"{self.folder}: {error}: check --glue-task or --label-order") from error

    def _check(self, *paths: Path) -> None:
        """Raises UserError for a file that is missing, or that has changed since ``palbert data`` wrote it."""
        for path in paths:
            check_regular(path, REMEDY)
            if self.provenance:
                self.provenance.check(path)

    def _load_dictionary(self, folder: Path) -> Dictionary:
        path = folder / "dict.txt"
        self._check(path)
        read_symbols(path)  # stricter than fairseq
        return Dictionary.load(str(path))

    def load(self, split: str) -> TokenizedSplit:
        """The sentences and targets of a split.

        Raises UserError for a missing split, unknown labels, scores out of range, missing groups and files of different
        length. Only test splits may lack labels.
        """
        if not any(file.exists() for file in _files(self.inputs[0] / split)):
            raise UserError(f"{self.folder}: no such split: {split!r}; {REMEDY}")
        sentences = [self._rows(folder / split, self.dictionary) for folder in self.inputs]
        targets = self._scores(split) if self.task.regression else self._class_ids(split)
        if targets is None and not split.startswith("test"):
            raise UserError(f"{self.folder / 'label'}: no labels of split {split!r}, which needs them; {REMEDY}")
        groups, candidates = self._groups(split) if self.task.groups else (None, [])
        for part in (*sentences[1:], targets, groups):
            if part is not None and len(part) != len(sentences[0]):
                raise UserError(f"{self.folder}: the files of split {split!r} have {len(sentences[0])} and {len(part)} "
                                f"rows; {REMEDY}")
        of_candidates = None
        if self.task.scores_texts and targets is not None:
            positive = targets == self.task.labels.index(self.task.positive)
            of_candidates = text_scores(candidates, groups.tolist(), positive.tolist())
        return TokenizedSplit(sentences, targets, self.separators, groups, of_candidates)

    def _rows(self, path: Path, dictionary: Dictionary) -> MMapIndexedDataset:
        self._check(*_files(path))
        return open_rows(path, len(dictionary), REMEDY)

    def _class_ids(self, split: str) -> Tensor | None:
        path = self.folder / "label" / split
        if not any(file.exists() for file in _files(path)):
            return None
        dictionary = self._load_dictionary(path.parent)
        self._check_counts(dictionary)
        class_id = {dictionary.index(label): i for i, label in enumerate(self.task.labels) if label in dictionary}
        rows = self._rows(path, dictionary)
        if (rows.sizes != 2).any():
            raise UserError(f"{path}.bin: a row should be a label and </s>; {REMEDY}")
        stored = [int(row[0]) for row in rows]
        for row, index in enumerate(stored):
            if index not in class_id:
                raise UserError(f"{path}.bin: row {row} has label {dictionary[index]!r}, but {self.task.name} has "
                                f"{self.task.answers_in_words}; check --glue-task")
        return torch.tensor([class_id[index] for index in stored])

    def _check_counts(self, dictionary: Dictionary) -> None:
        """Raises UserError where fairseq counted other labels in train than there are, as of exchanged labels."""
        path = self.folder / "label" / "train"
        if self.provenance or not _files(path)[0].exists():
            return
        counts = Counter(int(row[0]) for row in self._rows(path, dictionary))
        if any(counts[index] != dictionary.count[index] for index in range(dictionary.nspecial, len(dictionary))):
            raise UserError(f"{path.parent / 'dict.txt'}: counts other labels than {path}.bin has; {REMEDY}")

    def _scores(self, split: str) -> Tensor | None:
        path = self.folder / "label" / f"{split}.label"
        if not path.exists():
            return None
        self._check(path)
        scores = _read_scores(path) * self._score_scale()
        low, high = self.task.score_range
        for row, score in enumerate(scores):
            if not low <= score <= high:
                raise UserError(f"{path}: row {row} has score {score:g}, outside {low:g}..{high:g}; {REMEDY}")
        return torch.from_numpy(scores)

    def _groups(self, split: str) -> tuple[Tensor, list[str]]:
        """The number of each row's group [S], in the order of the file, and the rows' candidates."""
        path = group_file(self.folder, split)
        self._check(path)
        groups, candidates = read_groups(path, REMEDY)
        if self.task.scores_texts and None in candidates:
            raise UserError(f"{path}, line {candidates.index(None) + 1}: has no candidate; {REMEDY}")
        number_of = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        return torch.tensor([number_of[group] for group in groups]), candidates

    def _score_scale(self) -> float:
        """The factor that restores the scores: 1, or 5 for STS-B data of fairseq's own script, which divides by 5."""
        if self.provenance or max(_read_scores(path).max() for path in self.folder.glob("label/*.label")) > 1:
            return 1.0
        scale = self.task.score_range[1]
        logger.info(f"{self.folder}: scores within 0..1, as fairseq's own script leaves them: multiplied by {scale:g}")
        return scale


def _files(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in (".bin", ".idx")]


def _read_scores(path: Path) -> np.ndarray:
    try:
        return np.array([finite_float(line) for line in read_text(path, REMEDY).removesuffix("\n").split("\n")])
    except ValueError as error:
        raise UserError(f"{path}: {error}; one number a line is expected; {REMEDY}") from error
