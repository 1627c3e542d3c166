"""Tests of the engine: in any batch and order it decides as for one sentence alone."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay
from fairseq_palbert.inference import engine
from fairseq_palbert.inference.engine import Workload, decide, record
from fairseq_palbert.inference.latency import decide_small_batch
from fairseq_palbert.inference.reference import decide_alone
from fairseq_palbert.inference.window import Window
from fairseq_palbert.modules.lambda_module import LAMBDA_INPUTS, LAMBDA_MODULES, NO_LAMBDA
from fairseq_palbert.modules.pondering import POOLINGS

from .conftest import FAMILIES, PADDING, varied_network

SPECS = ["q_exit:0", "q_exit:0.3", "q_exit:0.5", "q_exit:0.9", "q_exit:1", "sampling:7", "expectation", "fixed:1",
         "fixed:3", "fixed:5", "patience:0", "patience:1", "patience:4", "entropy:0.3", "confidence:0.8", "random:2.5"]
LEARNED = [f"learned:{threshold}" for threshold in (0, 0.5, 1)]


def check_against_alone(network, rule, sentences, decided):
    alone = [decide_alone(network, rule, sentence, i) for i, sentence in enumerate(sentences)]
    assert decided.exit_layers.equal(torch.cat([one.exit_layers for one in alone]))
    torch.testing.assert_close(decided.outputs, torch.cat([one.outputs for one in alone]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 8, 32])
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("spec", SPECS)
def test_any_batch_size_gives_what_each_sentence_gives_alone(make_network, make_sentences, spec, pooling, batch_size):
    network, sentences, rule = make_network(pooling=pooling), make_sentences(40), parse_rule(spec)
    decided = decide(network, rule, Workload(sentences, Window(sentences=batch_size)))
    check_against_alone(network, rule, sentences, decided)
    if spec == "q_exit:0.5":
        assert decided.exit_layers.double().std() >= 0.5, "the network is to let sentences leave at different layers"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])  # fixtures are pure functions
@given(st.permutations(range(12)), st.sampled_from(SPECS))
def test_any_order_and_any_company_give_the_same(make_network, make_sentences, order, spec):
    """Rows are not sorted, so that short and long sentences share a batch and exit in any order."""
    network, sentences, rule = make_network(), make_sentences(12), parse_rule(spec)
    for rows in (order[:1], order[1:4], order[4:]):
        ids = torch.tensor(rows)
        decided = decide(network, rule, Workload([sentences[i] for i in rows], ids=ids))
        for row, i in enumerate(rows):
            alone = decide_alone(network, rule, sentences[i], i)
            assert decided.exit_layers[row] == alone.exit_layers[0]
            torch.testing.assert_close(decided.outputs[row], alone.outputs[0], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def networks():
    """Returns two networks of every family.

    One has heads per layer; the other has mean pooling and a lambda module that reads answers too. ALBERT's layers
    share their weights, so sentences at different depths share steps.
    """
    copies = dict.fromkeys(("per_layer_pooler", "per_layer_classifier", "per_layer_lambda"), True)
    networks = {family: varied_network(family=family, **copies) for family in FAMILIES}
    gate = {"lambda_reads": "both", "lambda_width": 7, "lambda_depth": 1}
    return networks | {f"{family}, mean": varied_network(family=family, pooling="mean", **gate) for family in FAMILIES}


@settings(max_examples=60, derandomize=True)
@given(name=st.sampled_from([name for family in FAMILIES for name in (family, f"{family}, mean")]),
       spec=st.sampled_from(SPECS), lengths=st.lists(st.integers(1, 30), min_size=1, max_size=25),
       tokens=st.integers(1, 120), sentences=st.none() | st.integers(1, 9), step_tokens=st.integers(1, 60))
def test_any_window_gives_what_each_sentence_gives_alone(networks, name, spec, lengths, tokens, sentences, step_tokens):
    generator = torch.Generator().manual_seed(len(lengths))
    given_tokens = [torch.randint(PADDING + 1, 60, (length,), generator=generator) for length in lengths]
    rule, window = parse_rule(spec), Window(tokens, sentences, step_tokens)
    decided = decide(networks[name], rule, Workload(given_tokens, window))
    check_against_alone(networks[name], rule, given_tokens, decided)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec != "expectation"])
@pytest.mark.parametrize("at_a_time", [1, 2, 3, 7])
def test_a_few_together_are_decided_as_alone(networks, make_sentences, spec, at_a_time):
    """As on a GPU, the host asks which sentences are left only after every ``at_a_time`` layers."""
    for network in networks.values():
        sentences, rule = make_sentences(7), parse_rule(spec)
        with torch.inference_mode():
            decided = decide_small_batch(network, rule, sentences, torch.arange(7), at_a_time)
        check_against_alone(network, rule, sentences, decided)


def test_sentences_at_different_depths_share_steps_where_layers_are_one(make_network, make_sentences):
    network, sentences = Counting(make_network(family="albert")), make_sentences(40, longest=5)
    decided = decide(network, parse_rule("q_exit:0.5"), Workload(sentences, Window(tokens=20)))
    steps = [call for call in network.calls if call[0] == "step"]
    work = sum(len(sentence) * int(layer) for sentence, layer in zip(sentences, decided.exit_layers))
    assert sum(call[3] for call in steps) == work
    assert sum(call[3] for call in steps[:-5]) > 0.8 * 20 * len(steps[:-5]), "steps are to stay full until nobody waits"


@pytest.mark.parametrize("per_layer", [False, True])
@pytest.mark.parametrize("heads", [
    *({"lambda_module": module} for module in LAMBDA_MODULES if module != NO_LAMBDA),
    *({"lambda_input": joined, "lambda_lookback": 2, "lambda_depth": 1} for joined in LAMBDA_INPUTS),
    {"lambda_layer_embedding": True}, {"lambda_reads": "answers"}, {"lambda_reads": "both", "lambda_width": 9},
    {"lambda_reads": "both", "outputs": 1}, {"lambda_reads": "answers", "lambda_module": "linear", "outputs": 3},
])
def test_every_lambda_module_keeps_its_memory_through_compaction(make_network, make_sentences, heads, per_layer):
    copies = dict.fromkeys(("per_layer_pooler", "per_layer_classifier", "per_layer_lambda"), per_layer)
    network, sentences, rule = make_network(**heads, **copies), make_sentences(20), parse_rule("q_exit:0.5")
    check_against_alone(network, rule, sentences, decide(network, rule, Workload(sentences, Window(sentences=8))))


@pytest.mark.parametrize("bias, layer", [(50, 1), (-50, 5)])
def test_always_and_never_leaving(make_network, make_sentences, bias, layer):
    network, sentences, rule = make_network(halting_bias=bias), make_sentences(10), parse_rule("q_exit:0.5")
    decided = decide(network, rule, Workload(sentences, Window(sentences=4)))
    assert decided.exit_layers.eq(layer).all()
    check_against_alone(network, rule, sentences, decided)


@pytest.mark.parametrize("spec", ["q_exit:0.5", "expectation", "sampling:0", "fixed:2", "random:1.5"])
@pytest.mark.parametrize("outputs, layers", [(1, 5), (3, 5), (2, 2), (1, 2)])
def test_regression_more_classes_and_two_layers(make_network, make_sentences, spec, outputs, layers):
    network, sentences, rule = make_network(outputs=outputs, layers=layers), make_sentences(15), parse_rule(spec)
    decided = decide(network, rule, Workload(sentences, Window(sentences=4)))
    assert decided.outputs.shape == (15, outputs)
    check_against_alone(network, rule, sentences, decided)


@pytest.mark.parametrize("spec, outputs",
                         [("patience:1:0.5", 1), ("patience:1", 3), ("entropy:0.9", 3), ("confidence:0.5", 3)])
def test_rules_that_read_answers_need_no_halting_logits(make_network, make_sentences, spec, outputs):
    network, sentences, rule = make_network(outputs=outputs,
                                            lambda_module=NO_LAMBDA), make_sentences(15), parse_rule(spec)
    decided = decide(network, rule, Workload(sentences, Window(sentences=4)))
    assert len(set(decided.exit_layers.tolist())) > 1, "the network is to let sentences leave at different layers"
    check_against_alone(network, rule, sentences, decided)


@pytest.mark.parametrize("spec", LEARNED)
@pytest.mark.parametrize("outputs", [1, 3])
def test_learned_exits(make_network, make_sentences, spec, outputs):
    network, rule = make_network(outputs=outputs, lambda_module=NO_LAMBDA, learned_exit=True), parse_rule(spec)
    workload = Workload(make_sentences(40), Window(sentences=1))
    decided, replayed = decide(network, rule, workload), replay(rule, record(network, workload), torch.arange(40))
    assert decided.exit_layers.equal(replayed.exit_layers) and decided.outputs.equal(replayed.outputs)
    layers = set(decided.exit_layers.tolist())
    assert len(layers) > 1 or spec != "learned:0.5", "sentences are to leave at different layers"
    check_against_alone(network, rule, workload.sentences,
                        decide(network, rule, Workload(workload.sentences, Window(sentences=8))))


def test_a_learned_exit_needs_its_head(make_network, make_sentences):
    with pytest.raises(UserError, match="exit rule learned:0.5: it reads learned-exit scores"):
        decide(make_network(), parse_rule("learned:0.5"), Workload(make_sentences(3), Window(sentences=2)))


def test_sentences_of_one_token(make_network):
    network, rule = make_network(), parse_rule("q_exit:0.5")
    sentences = [torch.tensor([token]) for token in range(2, 12)]
    check_against_alone(network, rule, sentences, decide(network, rule, Workload(sentences, Window(sentences=4))))


@pytest.mark.parametrize("spec", SPECS)
def test_a_replay_of_the_record_decides_as_the_engine_does(make_network, make_sentences, monkeypatch, spec):
    network, rule = make_network(), parse_rule(spec)
    workload = Workload(make_sentences(40),
                        Window(sentences=1))  # equal shapes give equal numbers, to the bit
    monkeypatch.setattr(engine, "layers_at_a_time", lambda *_: 1)
    recording = record(network, workload)
    replayed = replay(rule, recording, torch.arange(40))
    decided = decide(network, rule, workload)
    assert decided.exit_layers.equal(replayed.exit_layers)
    assert decided.outputs.equal(replayed.outputs)


def test_a_network_without_halting_logits_leaves_at_fixed_layers(make_network, make_sentences):
    network, sentences = make_network(lambda_module=NO_LAMBDA), make_sentences(20)
    workload = Workload(sentences, Window(sentences=8))
    recording = record(network, workload)
    assert recording.halting_logits is None and recording.logits.shape == (5, 20, 2)
    for k in (1, 3, 5):
        rule = parse_rule(f"fixed:{k}")
        decided = decide(network, rule, workload)
        check_against_alone(network, rule, sentences, decided)
        replayed = replay(rule, recording, torch.arange(20))
        assert decided.exit_layers.equal(replayed.exit_layers) and decided.exit_layers.eq(k).all()
        torch.testing.assert_close(decided.outputs, replayed.outputs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("spec", ["q_exit:0.5", "sampling:1", "expectation"])
def test_a_rule_that_reads_halting_logits_needs_a_network_that_has_them(make_network, make_sentences, spec):
    with pytest.raises(UserError, match=f"exit rule {spec}: it reads halting logits.*choose fixed:K with 1 <= K <= 5"):
        decide(make_network(lambda_module=NO_LAMBDA), parse_rule(spec),
               Workload(make_sentences(3), Window(sentences=2)))


def test_the_record_is_what_training_sees(make_network, make_sentences):
    network, sentences = make_network(), make_sentences(9)
    recording = record(network, Workload(sentences, Window(sentences=4)))
    with torch.inference_mode():
        whole = network(torch.nn.utils.rnn.pad_sequence(sentences, True, PADDING))
    torch.testing.assert_close(recording.halting_logits, whole.halting_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(recording.logits, whole.logits, rtol=0, atol=1e-5)


class Counting:
    """Wraps a network and records its calls.

    They are ("step", layer, sentences, tokens), ("classify", layer, sentences) and ("halt", layer, number of layers).
    """

    def __init__(self, network):
        self.network, self.calls = network, []

    def __getattr__(self, name):
        return getattr(self.network, name)

    def step(self, n, hidden, batch):
        self.calls.append(("step", n, len(batch.lengths), len(hidden)))
        return self.network.step(n, hidden, batch)

    def classify(self, n, pooled):
        if pooled.shape[1]:
            self.calls.append(("classify", int(n[0]), pooled.shape[1]))
        return self.network.classify(n, pooled)

    def halt(self, n, pooled, logits, memory):
        self.calls.append(("halt", int(n[0]), len(pooled)))
        return self.network.halt(n, pooled, logits, memory)


def test_who_left_costs_nothing_more(make_network, make_sentences):
    """Each layer runs on the tokens of the sentences that are left; no sentence is classified twice."""
    network, sentences = Counting(make_network()), make_sentences(16)
    decided = decide(network, parse_rule("q_exit:0.5"), Workload(sentences, Window(sentences=16)))
    for n in range(1, int(decided.exit_layers.max()) + 1):
        inside = [len(sentence) for sentence, layer in zip(sentences, decided.exit_layers) if layer >= n]
        assert ("step", n, len(inside), sum(inside)) in network.calls
    assert sum(call[0] == "step" for call in network.calls) == decided.exit_layers.max()
    assert sum(call[2] for call in network.calls if call[0] == "classify") == len(sentences)


def test_a_fixed_exit_runs_no_lambda_module_and_no_layer_beyond(make_network, make_sentences):
    network = Counting(make_network())
    decide(network, parse_rule("fixed:3"), Workload(make_sentences(4), Window(sentences=4)))
    assert [call[:2] for call in network.calls] == [("step", 1), ("step", 2), ("step", 3), ("classify", 3)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_answers_in_float32(make_network, make_sentences, dtype):
    network, sentences = make_network().to(dtype), make_sentences(12)
    for spec in ("q_exit:0.5", "expectation"):
        decided = decide(network, parse_rule(spec), Workload(sentences, Window(sentences=4)))
        assert decided.outputs.dtype in (torch.float32, torch.float64) and decided.outputs.isfinite().all()


def test_sentences_reach_a_device_in_one_copy(make_network):
    """A copy for each would take longer than a GPU's layers."""
    class Copies(TorchDispatchMode):
        counted = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.counted += function is torch.ops.aten._to_copy.default
            return function(*args, **(kwargs or {}))

    sentences = [torch.arange(1 + i % 7) for i in range(50)]
    network, workload = make_network().to("meta"), Workload(sentences, device=torch.device("meta"))
    with Copies() as copies:
        places, ids, taken = workload.at(list(range(len(sentences))))
        batch = network.packed(taken)
    assert copies.counted == 3 and {part.device.type for part in (places, ids, batch.tokens)} == {"meta"}
    assert batch.lengths == [len(sentence) for sentence in sentences]
