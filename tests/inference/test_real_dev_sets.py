"""Same answer, whatever the batching: whole dev sets of GLUE, every rule, batches of 1, 8 and 32, and in another order.

Rounding differs with the shape of a matrix product, so an example may differ where its decision is that close: these
are counted, and at most 0.1 % are allowed.
"""

import random

import pytest
import torch

from fairseq_palbert.exits.cdf import CdfRule
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.glue.assembly import example
from fairseq_palbert.glue.tasks import TASKS
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.window import Window
from fairseq_palbert.ponder.halting import cdf

BEGIN, PADDING, END = 0, 1, 2
CLOSE, ALLOWED = 1e-5, 0.001
SPECS = ["q_exit:0", "q_exit:0.5", "q_exit:1", "sampling:7", "expectation", "fixed:3"]


@pytest.fixture(scope="module")
def dev_set(glue_dir, vocab_dir):
    """dev_set("RTE") -> the token ids of every dev example, as preprocessing and task make them."""
    from fairseq_palbert.tokenization import Vocabulary
    from preprocess.raw import read_examples

    def load(task_name: str) -> list[torch.Tensor]:
        task, raw, vocabulary = TASKS[task_name], glue_dir(task_name).parent, Vocabulary(vocab_dir("gpt2_bpe"))
        examples = [row.sentences for row in read_examples(task, task.split("valid"), raw)]
        encoded = [[torch.from_numpy(ids)[:-1] for ids in vocabulary.encode(column)] for column in zip(*examples)]
        return [example(BEGIN, END, list(sentences), separators=2) for sentences in zip(*encoded)]

    return load


def margins(rule, recording, reference, ids) -> torch.Tensor:
    """How far each example is from another decision: in its exit layer and in its class. Shape: [E]."""
    top = reference.outputs.double().sort(dim=-1).values
    gap = top[:, -1] - top[:, -2] if top.shape[1] > 1 else torch.full(ids.shape, torch.inf)
    if not isinstance(rule, CdfRule):
        return gap
    to_threshold = (cdf(recording.halting_logits.double())[:-1] - rule.thresholds(ids)).abs().amin(0)
    return torch.minimum(gap, to_threshold)


def check_same(reference, decided, margin) -> None:
    """Same exit layer and same class, or the same value within 1e-4 for regression."""
    if decided.outputs.shape[1] == 1:
        same_answer = (decided.outputs - reference.outputs).abs().amax(1) < 1e-4
    else:
        same_answer = decided.outputs.argmax(1) == reference.outputs.argmax(1)
    differ = ~(same_answer & (decided.exit_layers == reference.exit_layers))
    assert (margin[differ] < CLOSE).all(), "an example that was not close got another decision"
    assert differ.sum() <= ALLOWED * len(differ), f"{differ.sum()} of {len(differ)} differ"


@pytest.mark.parametrize("task_name, rows", [("SST-2", 872), ("STS-B", 1500)])
def test_the_whole_dev_set_is_decided_alike_in_any_batch(dev_set, make_network, task_name, rows):
    sentences = dev_set(task_name)
    assert len(sentences) == rows
    network = make_network(vocabulary=50265, layers=6, hidden=16, max_positions=512, halting_bias=-1.0,
                           outputs=TASKS[task_name].outputs)
    ids = torch.arange(rows)
    alone = record(network, Workload(sentences, Window(sentences=1)))
    order = random.Random(0).sample(range(rows), rows)
    for spec in SPECS:
        rule = parse_rule(spec)
        reference = replay(rule, alone, ids)
        margin = margins(rule, alone, reference, ids)
        for batch_size in (1, 8, 32) if isinstance(rule, CdfRule) else (8, 32):  # ``reference`` is of batches of 1
            check_same(reference, decide(network, rule, Workload(sentences, Window(sentences=batch_size))), margin)
        shuffled = Workload([sentences[i] for i in order], Window(sentences=32), ids=torch.tensor(order))
        check_same(reordered(reference, order), decide(network, rule, shuffled), margin[order])
        for first in range(0, rows, 32 * 8):  # every eighth batch of the shuffled order, short and long ones together
            some = order[first:first + 32]
            small = Workload([sentences[i] for i in some], Window(tokens=300, step_tokens=100), ids=torch.tensor(some))
            check_same(reordered(reference, some), decide(network, rule, small), margin[some])
        if spec == "q_exit:0.5":
            assert reference.exit_layers.double().std() >= 0.5, "sentences are to leave at different layers"


def reordered(decisions, order):
    return type(decisions)(decisions.outputs[order], decisions.exit_layers[order])
