"""Tests of ``--task parity``: what it draws, and what it refuses."""

import numpy as np
import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.tasks.parity import ParityConfig, ParityTask
from fairseq_palbert.tasks.parity_vectors import draw


def make_task(**options) -> ParityTask:
    sizes = {"vector_size": 6, "train_vectors": 300, "valid_vectors": 200}
    return ParityTask(ParityConfig(**{"seed": 1} | sizes | options))


def slow_label(vector: list[float]) -> int:
    ones = 0
    for entry in vector:
        ones += entry == 1
    return ones % 2


def test_labels_are_the_parity_of_the_ones():
    vectors, labels = draw([0], 500, 7, 1, 7)
    assert vectors.shape == (500, 7) and set(vectors.unique().tolist()) == {-1, 0, 1}
    assert labels.tolist() == [slow_label(vector) for vector in vectors.tolist()]


@pytest.mark.parametrize("least, most", [(1, 6), (1, 3), (4, 6), (2, 2)])
def test_the_number_of_entries_that_are_not_0_is_uniform_in_its_range(least, most):
    vectors, _ = draw([3], 6000, 6, least, most)
    counts = np.bincount(vectors.ne(0).sum(1), minlength=7)
    assert counts[:least].sum() == counts[most + 1:].sum() == 0
    expected = 6000 / (most - least + 1)
    assert np.abs(counts[least:most + 1] - expected).max() < 5 * expected**0.5
    by_place = vectors.ne(0).float().mean(0)
    assert (by_place - (least + most) / 12).abs().max() < 0.04, "every place is as likely as another"
    assert vectors.mean().abs() < 0.02, "1 and −1 are alike likely"


def test_equal_seeds_draw_equal_vectors():
    first, again, other = (draw([seed], 50, 6, 1, 6)[0] for seed in (1, 1, 2))
    assert first.equal(again) and not first.equal(other)


def vectors_of(task: ParityTask, split: str, epoch: int = 1) -> torch.Tensor:
    dataset = task.load_dataset(split)
    dataset.set_epoch(epoch)
    return torch.cat([dataset[i]["tokens"] for i in range(len(dataset))])


@pytest.mark.parametrize("split, fresh", [("train", True), ("valid", False), ("test", False)])
def test_epochs_and_seeds_change_train_alone(split, fresh):
    drawn = vectors_of(make_task(), split)
    assert vectors_of(make_task(), split).equal(drawn)
    assert vectors_of(make_task(), split, epoch=2).equal(drawn) != fresh
    assert vectors_of(make_task(seed=2), split).equal(drawn) != fresh


@pytest.mark.parametrize("extrapolate, ranges", [(False, [(1, 6)] * 3), (True, [(1, 3), (1, 3), (4, 6)])])
def test_extrapolation_tests_on_more_entries_than_it_trains_on(extrapolate, ranges):
    task = make_task(extrapolate=extrapolate)
    for split, (least, most) in zip(("train", "valid", "test"), ranges):
        counts = vectors_of(task, split).ne(0).sum(1)
        assert (counts.min().item(), counts.max().item()) == (least, most)


def test_a_batch():
    dataset = make_task().load_dataset("valid")
    batch = dataset.collater([dataset[i] for i in (3, 5)])
    assert batch["id"].tolist() == [3, 5] and batch["net_input"]["src_tokens"].shape == (2, 6)
    assert batch["target"].tolist() == [slow_label(row) for row in batch["net_input"]["src_tokens"].tolist()]
    assert (batch["nsentences"], batch["ntokens"], batch["examples"]) == (2, 2, 200)


@pytest.mark.parametrize("options, reason", [({"vector_size": 1}, "--vector-size 1"),
                                             ({"train_vectors": 0}, "--train-vectors 0"),
                                             ({"valid_vectors": 0}, "--valid-vectors 0"),
                                             ({"valid_vectors": 2**40}, "from 1 to 44739242 vectors of 6 entries")])
def test_impossible_sizes_are_refused(options, reason):
    with pytest.raises(UserError, match=reason):
        make_task(**options)


def test_another_split_is_refused():
    with pytest.raises(UserError, match="--task parity has no split 'valid1': choose from train, valid, test"):
        make_task().load_dataset("valid1")
