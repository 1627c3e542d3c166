"""A model that answers the same whatever it is asked, a batch for it, and what is logged of that."""

from types import SimpleNamespace

import pytest
import torch
from fairseq import metrics

from fairseq_palbert.definitions.metrics import TaskMetrics
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.modules.pondering import HeadsShape, PonderOutput

DEPTH, BATCH = 5, 6


class FixedModel(torch.nn.Module):
    """Gives the same output whatever it is asked: logits [5, 6, K] and, with heads for them, halting and error
    logits."""

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
    """make_task("RTE") has what a criterion asks of ``--task glue``."""
    return lambda name: SimpleNamespace(definition=packaged_task(name), metrics=TaskMetrics(packaged_task(name)),
                                        target_variance=3.0)


@pytest.fixture
def make_sample():
    """make_sample(targets [6])"""
    return lambda targets: {"net_input": {}, "target": targets, "id": torch.arange(BATCH), "examples": BATCH,
                            "nsentences": BATCH, "ntokens": 9}


@pytest.fixture
def logged():
    """logged(criterion, logs) -> what fairseq shows of several workers' or batches' logs, by name."""

    def reduce(criterion, logs):
        with metrics.aggregate() as aggregate:
            criterion.reduce_metrics(logs)
        return aggregate.get_smoothed_values()

    return reduce
