"""Training and serving make the same tokens from the same texts."""

import numpy as np
import pytest
import torch

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.inference.window import Window
from fairseq_palbert.serving import PalbertPredictor
from fairseq_palbert.tasks.binarized import BinarizedFolder
from fairseq_palbert.tasks.dataset import SentenceDataset
from preprocess import binarize as binarize_module
from preprocess.binarize import binarize

SENTENCES = ["", "a", " the cat\u00a0sat ", "naïve Zoë — 12,345!", "<s> </s> [SEP]", "w1 w23 isn't w4 . " * 4,
             "w5 " * 30]
CPU = torch.device("cpu")


@pytest.mark.parametrize("family", ["roberta", "bert", "albert", "mpnet"])
@pytest.mark.parametrize("task_name", ["SST-2", "RTE"])
def test_the_tokens_are_those_of_training(write_vocabulary, tmp_path, monkeypatch, family, task_name):
    """The limits cut none, one or both sentences."""
    monkeypatch.setattr(binarize_module, "UNKNOWN_LIMIT", 1)  # the vocabularies are small
    task, vocabulary = packaged_task(task_name), write_vocabulary(family, tmp_path / "vocabulary")
    pairs = [(first, second) for first in SENTENCES for second in SENTENCES]
    examples = SENTENCES if len(task.sentences) == 1 else pairs
    rows = [[*([one] if isinstance(one, str) else one), task.labels[0]] for one in examples]
    raw, data = tmp_path / task_name / "dev.tsv", tmp_path / "data"
    raw.parent.mkdir()
    data.mkdir()
    raw.write_text("".join("\t".join(row) + "\n" for row in [[*task.sentences, task.label], *rows]))
    binarize(task, [task.split("valid")], tmp_path, vocabulary, data)
    split = BinarizedFolder(data, task.name).load("valid")
    for limit in (8, 9, 20, 21, 512):
        dataset = SentenceDataset(split, np.arange(len(split)), limit, shuffle=False)
        predictor = PalbertPredictor(None, vocabulary, task, limit, CPU, Window(1, None, 1))
        served, trained = predictor.tokens(examples), [dataset[place]["tokens"] for place in range(len(dataset))]
        assert [tokens.tolist() for tokens in served] == [tokens.tolist() for tokens in trained]
        assert [len(tokens) for tokens in served] == dataset.sizes.tolist()
        assert dataset.truncated == 0 if limit == 512 else dataset.truncated > 0
