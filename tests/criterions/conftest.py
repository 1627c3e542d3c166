"""Fixtures for the criterions: a model of fixed output, a task, a batch, and logged values."""

from types import SimpleNamespace

import pytest
import torch
from fairseq import metrics

from fairseq_palbert.definitions.metrics import TaskMetrics
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.modules.pondering import HeadsShape, PonderOutput

DEPTH, BATCH = 5, 6


class FixedModel(torch.nn.Module):
    """A model whose output is the same for every input: logits [5, 6, K] and, where its heads give them, halting and
    error logits."""

    def __init__(self, outputs: int, seed: int = 0, **heads):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.logits = torch.nn.Parameter(torch.randn(DEPTH, BATCH, outputs, generator=generator))
        self.halting_logits = torch.nn.Parameter(torch.randn(DEPTH, BATCH, generator=generator))
        self.error_logits = torch.nn.Parameter(torch.randn(DEPTH - 1, BATCH, generator=generator))
        self.network = SimpleNamespace(heads_shape=HeadsShape(outputs, **heads))
        self.cfg = SimpleNamespace(train_only=None)

    def forward(self, halt_at_last=False):
        heads = self.network.heads_shape
        halting_logits = self.halting_logits if halt_at_last else self.halting_logits[:-1]
        return PonderOutput(self.logits, halting_logits if heads.halts else None,
                            self.error_logits if heads.learned_exit else None)


@pytest.fixture
def make_model():
    return FixedModel


@pytest.fixture
def make_task():
    """make_task("RTE") returns a stand-in for ``--task glue`` with the attributes that a criterion reads."""
    return lambda name: SimpleNamespace(definition=packaged_task(name), metrics=TaskMetrics(packaged_task(name)),
                                        target_variance=3.0)


@pytest.fixture
def make_sample():
    """make_sample(targets [6]) returns a batch of six examples with these targets."""
    return lambda targets: {"net_input": {}, "target": targets, "id": torch.arange(BATCH), "examples": BATCH,
                            "nsentences": BATCH, "ntokens": 9}


@pytest.fixture
def logged():
    """logged(criterion, logs) returns the values that fairseq shows for the logs of workers or batches, by name."""

    def reduce(criterion, logs):
        with metrics.aggregate() as aggregate:
            criterion.reduce_metrics(logs)
        return aggregate.get_smoothed_values()

    return reduce
