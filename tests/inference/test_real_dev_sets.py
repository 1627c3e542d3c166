"""Tests of whole GLUE dev sets: any batching gives the same decisions.

The rules and families run in batches of 1, 8 and 32, packed, and in another order. Rounding differs with the shape of a
matrix product, so an example may differ where its decision is that close. At most 0.1 % of the examples may differ.
"""

import random

import pytest
import torch

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.exits.cdf_rule import CdfRule
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.exits.rules.confidence import Confidence, confidence
from fairseq_palbert.exits.rules.entropy import Entropy, normalised_entropy
from fairseq_palbert.exits.rules.learned import Learned, expected_error
from fairseq_palbert.exits.rules.patience import Patience
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.window import Window
from fairseq_palbert.ponder.halting import cdf
from fairseq_palbert.tokenization.assembly import example

CLOSE, ALLOWED = 1e-5, 0.001
SPECS = ["q_exit:0", "q_exit:0.5", "q_exit:1", "sampling:7", "expectation", "fixed:3", "random:2.5", "learned:0.5"]
OF_CLASSES = [*SPECS, "patience:1", "entropy:0.9", "confidence:0.7"]
OF_VALUES = [*SPECS, "patience:1:0.2"]


@pytest.fixture(scope="module")
def dev_set(glue_dir, vocab_dir):
    """dev_set("RTE") returns the token ids of every dev example, as preprocessing and the task make them."""
    from fairseq_palbert.raw.examples import read_examples
    from fairseq_palbert.tokenization import Vocabulary

    def load(task_name: str) -> list[torch.Tensor]:
        task, raw, vocabulary = packaged_task(task_name), glue_dir(task_name).parent, Vocabulary(vocab_dir("gpt2_bpe"))
        examples = [row.sentences for row in read_examples(task, task.split("valid"), raw)]
        encoded = [[torch.from_numpy(ids)[:-1] for ids in vocabulary.encode(column)] for column in zip(*examples)]
        return [example(sentences, list(map(len, sentences)), separators=2) for sentences in zip(*encoded)]

    return load


def margins(rule, recording, reference, ids) -> torch.Tensor:
    """Returns how far each example is from another decision, in its exit layer or its class. Shape: [E]."""
    return torch.minimum(_gap(reference.outputs), _to_threshold(rule, recording, ids).abs().amin(0))


def _gap(outputs) -> torch.Tensor:
    """Returns the gap between the two likeliest classes; infinite for a regression. Shape: [..., K] -> [...]."""
    top = outputs.double().sort(dim=-1).values
    return top[..., -1] - top[..., -2] if top.shape[-1] > 1 else torch.full(top.shape[:-1], torch.inf)


def _to_threshold(rule, recording, ids) -> torch.Tensor:
    """Returns the distance of what the rule reads from its threshold. Shape: any number of layers, [., E]."""
    logits = recording.logits.double()
    if isinstance(rule, CdfRule):
        return cdf(recording.halting_logits.double())[:-1] - rule.thresholds(ids)
    if isinstance(rule, Entropy):
        return normalised_entropy(logits[:-1]) - rule.parameter
    if isinstance(rule, Confidence):
        return confidence(logits[:-1]) - rule.parameter
    if isinstance(rule, Learned):
        return expected_error(recording.error_logits) - rule.parameter
    if isinstance(rule, Patience):
        return _gap(logits) if rule.tolerance is None else logits.squeeze(-1).diff(dim=0).abs() - rule.tolerance
    return torch.full((1, len(ids)), torch.inf)


def check_same(reference, decided, margin) -> None:
    """Checks that only few and close examples have another exit layer or class.

    A regression has the same answer if the values differ by less than 1e-4.
    """
    if decided.outputs.shape[1] == 1:
        same_answer = (decided.outputs - reference.outputs).abs().amax(1) < 1e-4
    else:
        same_answer = decided.outputs.argmax(1) == reference.outputs.argmax(1)
    differ = ~(same_answer & (decided.exit_layers == reference.exit_layers))
    assert (margin[differ] < CLOSE).all(), "an example that was not close got another decision"
    assert differ.sum() <= ALLOWED * len(differ), f"{differ.sum()} of {len(differ)} differ"


FIRST = {}
MEAN = {"pooling": "mean", "lambda_reads": "both", "lambda_width": 8, "lambda_depth": 1}


def slow(*arguments):
    return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.mark.parametrize("task_name, rows, family, heads, seed, at_once, specs",
                         [  # with these seeds sentences exit at different layers
    ("SST-2", 872, "roberta", FIRST, 1, (8, None), OF_CLASSES),
    slow("SST-2", 872, "roberta", FIRST, 1, (1, 8, 32, None), OF_CLASSES),
    ("SST-2", 872, "bert", MEAN, 6, (1, 8, 32, None), ["q_exit:0.5", "expectation", "patience:1"]),
    slow("SST-2", 872, "bert", MEAN, 6, (1, 8, 32, None), OF_CLASSES),
    slow("SST-2", 872, "bert", FIRST, 6, (8, None), OF_CLASSES),
    ("SST-2", 872, "albert", MEAN, 6, (8, None), OF_CLASSES),
    slow("SST-2", 872, "albert", FIRST, 0, (8, None), OF_CLASSES),
    slow("SST-2", 872, "mpnet", FIRST, 4, (1, 8, 32, None), OF_CLASSES),
    ("STS-B", 1500, "mpnet", MEAN, 4, (8, None), OF_VALUES),
    slow("STS-B", 1500, "roberta", FIRST, 2, (8, 32, None), OF_VALUES),
    slow("STS-B", 1500, "bert", FIRST, 2, (8, None), OF_VALUES),
    slow("STS-B", 1500, "albert", FIRST, 6, (8, None), OF_VALUES),
])
def test_the_whole_dev_set_is_decided_alike_in_any_batch(dev_set, make_network, task_name, rows, family, heads, seed,
                                                         at_once, specs):
    sentences = dev_set(task_name)
    assert len(sentences) == rows
    network = make_network(vocabulary=50265, layers=6, hidden=16, max_positions=512, halting_bias=-1.0, family=family,
                           seed=seed, outputs=packaged_task(task_name).outputs, learned_exit=True, **heads)
    ids = torch.arange(rows)
    recorded = record(network, Workload(sentences, Window(sentences=at_once[0])))
    order = random.Random(0).sample(range(rows), rows)
    for spec in specs:
        rule = parse_rule(spec)
        reference = replay(rule, recorded, ids)
        margin = margins(rule, recorded, reference, ids)
        for number in at_once:
            check_same(reference, decide(network, rule, Workload(sentences, Window(sentences=number))), margin)
        shuffled = Workload([sentences[i] for i in order], Window(tokens=900, step_tokens=300), ids=torch.tensor(order))
        check_same(reordered(reference, order), decide(network, rule, shuffled), margin[order])
        if spec == "q_exit:0.5":
            assert reference.exit_layers.double().std() >= 0.5, "sentences are to leave at different layers"


def reordered(decisions, order):
    return type(decisions)(decisions.outputs[order], decisions.exit_layers[order])
