"""Tests of the predictor, against single sentences and against scoring."""

import asyncio
import csv
import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fairseq_palbert.checkpoints.formats.model_folder import read_model
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import AllDepthsRule
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.inference.reference import decide_alone
from fairseq_palbert.serving import PalbertPredictor

RULES = ["q_exit:0.5", "sampling:7", "expectation", "fixed:2", "patience:1"]
EXAMPLES = {"SST-2": "texts", "RTE": "pairs", "STS-B": "pairs"}


@pytest.fixture
def examples(request):
    return lambda task_name: request.getfixturevalue(EXAMPLES[task_name])


def same(one, other) -> bool:
    """Returns whether labels and exit layers are equal, and probabilities or values within 1e-5."""
    if one.exit_layer != other.exit_layer or (one.probabilities is None) != (other.probabilities is None):
        return False
    if one.probabilities is None:
        return one.label == pytest.approx(other.label, abs=1e-5)
    return one.label == other.label and one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


@pytest.mark.parametrize("spec", RULES)
@pytest.mark.parametrize("task_name", ["SST-2", "RTE", "STS-B"])
def test_answers_are_those_of_each_sentence_alone(exported, examples, task_name, spec):
    if spec == "patience:1" and task_name == "STS-B":
        spec = "patience:1:0.5"
    folder, given, rule = exported(task_name), examples(task_name), parse_rule(spec)
    network, card = read_model(folder)
    predictor = PalbertPredictor.from_pretrained(folder)
    answers = predictor.predict(given, spec)
    for place, (tokens, answer) in enumerate(zip(predictor.tokens(given), answers, strict=True)):
        alone = decide_alone(network, rule, tokens, place)
        outputs = alone.outputs[0]
        assert answer.exit_layer == alone.exit_layers.item()
        if card.labels:
            probabilities = outputs if isinstance(rule, AllDepthsRule) else outputs.softmax(0)
            assert answer.probabilities == pytest.approx(probabilities.tolist(), abs=1e-5)
            assert answer.label == card.labels[outputs.argmax()] and answer.probability == max(answer.probabilities)
        else:
            assert answer.probabilities is answer.probability is None
            assert answer.label == pytest.approx(outputs.item(), abs=1e-5)
    if spec == "q_exit:0.5":
        assert len({answer.exit_layer for answer in answers}) > 1, "sentences are to leave at different layers"


@pytest.mark.parametrize("task_name", ["SST-2", "RTE", "STS-B"])
def test_answers_are_those_of_scoring(exported, examples, vocabulary, tmp_path, task_name):
    """Scoring goes from raw files through preprocessing to the evaluator, and truncates some pairs."""
    from fairseq_palbert.evaluation.cli import main as evaluate
    from preprocess.binarize import binarize

    task, given, folder = packaged_task(task_name), examples(task_name), exported(task_name)
    raw, data = tmp_path / task_name / "dev.tsv", tmp_path / "data"
    raw.parent.mkdir()
    data.mkdir()
    rows = [[*([one] if isinstance(one, str) else one), task.labels[0] if task.labels else "1"] for one in given]
    raw.write_text("".join("\t".join(row) + "\n" for row in [[*task.sentences, task.label], *rows]))
    binarize(task, [task.split("valid")], tmp_path, vocabulary, data)
    specs = ["q_exit:0.5", "sampling:7"]
    flags = [word for spec in specs for word in ("--exit", spec)]
    evaluate([str(folder), "--data", str(data), *flags, "--out", str(tmp_path / "out")])
    scored = list(csv.DictReader(open(tmp_path / "out" / "predictions.tsv"), delimiter="\t"))
    predictor = PalbertPredictor.from_pretrained(folder)
    assert task_name == "SST-2" or any(len(tokens) == predictor.max_positions for tokens in predictor.tokens(given))
    for spec in specs:
        for row, answer in zip(scored, predictor.predict(given, spec), strict=True):
            assert int(row[f"{spec}.exit_layer"]) == answer.exit_layer
            told = row[f"{spec}.prediction"]
            assert answer.label == told if task.labels else answer.label == pytest.approx(float(told), abs=1e-5)


@pytest.mark.parametrize("spec", RULES)
@pytest.mark.parametrize("batch", [1, 8])
def test_any_batch_gives_the_same(exported, texts, spec, batch):
    predictor = PalbertPredictor.from_pretrained(exported("SST-2"))
    packed = predictor.predict(texts, spec)
    assert all(map(same, predictor.predict(texts, parse_rule(spec), batch=batch), packed))


@pytest.mark.parametrize("spec", ["sampling:7", "random:2.5"])
def test_a_stream_may_be_cut_anywhere(exported, texts, spec):
    predictor = PalbertPredictor.from_pretrained(exported("SST-2"))
    whole = predictor.predict(texts, spec)
    pieces = predictor.predict(texts[:13], spec) + predictor.predict(texts[13:], spec, first_id=13)
    assert all(map(same, pieces, whole))
    high = [predictor.predict(texts, spec, first_id=place) for place in (250, np.uint8(250))]
    assert all(map(same, *high)), "the last ids are no uint8"
    assert not all(map(same, predictor.predict(texts[13:], spec), whole[13:])), "the numbers are to count"


def test_threads_may_share_one(exported, pairs):
    predictor = PalbertPredictor.from_pretrained(exported("RTE"))
    parts = [pairs[first:first + 12] for first in range(0, 49)]
    alone = [predictor.predict(part, "sampling:3") for part in parts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda part: predictor.predict(part, "sampling:3"), parts))
    assert all(same(*answers) for one, other in zip(alone, together) for answers in zip(one, other, strict=True))


def test_another_dtype_is_asked_for(exported, texts):
    predictor = PalbertPredictor.from_pretrained(exported("SST-2"), dtype="bfloat16")
    assert predictor.network.encoder.embed_tokens.weight.dtype == torch.bfloat16
    assert len(predictor.predict(texts)) == len(texts)


def test_no_examples_no_answers(exported):
    assert PalbertPredictor.from_pretrained(exported("RTE")).predict([]) == []


@pytest.mark.parametrize("message, task_name, arguments", [
    ("put it into a list", "SST-2", ["a text"]),
    ("example 1 is ('a', 'b'): this model of SST-2 takes single texts", "SST-2", [["a", ("a", "b")]]),
    ("example 0 is 'a': this model of RTE takes pairs of texts", "RTE", [["a"]]),
    ("example 0 is ('a', 3)", "RTE", [[("a", 3)]]),
    ("example 0 is {'sentence': 'a'}: this model of SST-2 takes single texts", "SST-2", [[{"sentence": "a"}]]),
    ("example 0 is {'sentence1': 'a', 'sentence2': 'b'}", "RTE", [[{"sentence1": "a", "sentence2": "b"}]]),
    ("example 0 is {'a'}", "SST-2", [[{"a"}]]),
    ("example 1 is None", "SST-2", [["a", None]]),
    ("example 0 is nan", "SST-2", [[float("nan")]]),
    ("example 0 is 3", "SST-2", [[3]]),
    ("example 0 is b'a'", "SST-2", [[b"a"]]),
    ("example 0 is ['a', None]", "RTE", [[["a", None]]]),
    ("not None: put it into a list", "SST-2", [None]),
    ("not {'sentence': 'a'}: put it into a list", "SST-2", [{"sentence": "a"}]),
    ("not b'a text'", "SST-2", [b"a text"]),
    ("not 3", "SST-2", [3]),
    ("example 1: a text with half a surrogate pair at character 2: correct it", "SST-2", [["a", "b\ud800"]]),
    ("example 0: a text of more than 1,048,576 characters: cut it", "RTE", [[("a", "b" * (2**20 + 1))]]),
    ("unknown exit rule 'never'", "SST-2", [["a"], "never"]),
    ("the model has 5 layers", "SST-2", [["a"], "fixed:6"]),
    ("batch 0: at least 1", "SST-2", [["a"], "fixed:1", 0]),
    ("batch '8': at least 1", "SST-2", [["a"], "fixed:1", "8"]),
    ("rule None: give an exit rule", "SST-2", [["a"], None]),
    ("rule 0.5: give an exit rule", "SST-2", [["a"], 0.5]),
    ("first_id 9223372036854775808: give an integer", "SST-2", [["a"], "fixed:1", None, 2**63]),
    ("first_id -1: give an integer", "SST-2", [["a"], "fixed:1", None, -1]),
    ("first_id 1.5: give an integer", "SST-2", [["a"], "fixed:1", None, 1.5]),
])
def test_what_cannot_be_predicted_is_refused_in_a_line(exported, message, task_name, arguments):
    with pytest.raises(UserError) as error:
        PalbertPredictor.from_pretrained(exported(task_name)).predict(*arguments)
    assert message in str(error.value) and "\n" not in str(error.value)


def card(**changes):
    """Returns a function that makes the folder one of version 3, without a digest, with ``changes`` in config.json."""
    def apply(folder):
        path, weights = folder / "config.json", folder / "model.safetensors"
        save_file(load_file(weights), weights)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 3} | changes))
    return apply


@pytest.mark.parametrize("message, change, settings", [
    ("no exported model", lambda folder: (folder / "config.json").unlink(), {}),
    ("no vocabulary in", lambda folder: (folder / "tokenizer.json").unlink(), {}),
    ("was trained on wordpiece (aaaaaaaa…, separators: 1), but",
     card(tokenizer={"name": "wordpiece", "separators": 1, "sha256": "a" * 64}), {}),
    ("has other symbols", card(tokenizer=None, dictionary="0" * 64), {}),
    ("entries, but the model of",
     lambda folder: (folder / "dict.txt").write_text((folder / "dict.txt").read_text() + "madeupword0000 1\n"), {}),
    ("labels good, bad are not those of SST-2: 0, 1; export", card(labels=["good", "bad"]), {}),
    ("the task 'XYZ' is none of the package", card(glue_task="XYZ"), {}),
    ("dtype 'float8': choose from float32", lambda folder: None, {"dtype": "float8"}),
    ("device 'tpu9000'", lambda folder: None, {"device": "tpu9000"}),
])
def test_a_folder_that_does_not_fit_is_refused_in_a_line(exported, tmp_path, message, change, settings):
    folder = shutil.copytree(exported("SST-2"), tmp_path / "copy")
    change(folder)
    with pytest.raises(UserError) as error:
        PalbertPredictor.from_pretrained(folder, **settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_one_bad_input_leaves_an_asyncio_server_and_the_other_answers_alive(exported, pairs):
    predictor = PalbertPredictor.from_pretrained(exported("RTE"))
    requests = [pairs[:3], ["one text where a pair is needed"], pairs[3:5]]

    async def serve():
        return await asyncio.gather(*(asyncio.to_thread(predictor.predict, request) for request in requests),
                                    return_exceptions=True)

    first, refused, last = asyncio.run(serve())
    assert (len(first), len(last)) == (3, 2)
    assert isinstance(refused, UserError) and "takes pairs of texts" in str(refused)

    async def answer(request):  # on the event loop itself, which a SystemExit would end
        return predictor.predict(request)

    async def serve_here():
        return await asyncio.gather(*map(answer, requests), return_exceptions=True)

    assert [type(one) for one in asyncio.run(serve_here())] == [list, UserError, list]


def test_a_bad_input_in_a_thread_reaches_who_waits_for_it(exported, texts):
    predictor = PalbertPredictor.from_pretrained(exported("SST-2"))
    with ThreadPoolExecutor(2) as threads:
        answers = [threads.submit(predictor.predict, examples) for examples in (texts[:2], [("a", "pair")], texts[2:4])]
    assert isinstance(answers[1].exception(), UserError)
    assert [len(answers[place].result()) for place in (0, 2)] == [2, 2]


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_examples_may_be_any_series_of_texts_and_a_pair_a_list_or_tuple(exported, pairs, kind):
    predictor = PalbertPredictor.from_pretrained(exported("RTE"))
    assert predictor.predict(kind(list(map(list, pairs[:5])))) == predictor.predict(pairs[:5])


@pytest.mark.parametrize("task_name", ["SST-2", "RTE", "STS-B"])
def test_an_example_with_more_tokens_than_the_model_takes_is_marked(exported, examples, task_name):
    predictor = PalbertPredictor.from_pretrained(exported(task_name))
    long = "the cat " * 5000
    given = [*examples(task_name), long if task_name == "SST-2" else ("a", long)]
    for one, answer in zip(given, predictor.predict(given, "fixed:1"), strict=True):
        sentences = [one] if isinstance(one, str) else one
        separators = predictor.vocabulary.separators if len(sentences) == 2 else 0
        length = sum(len(ids) - 1 for ids in predictor.vocabulary.encode(sentences)) + 2 + separators
        assert answer.truncated == (length > predictor.max_positions)
    assert answer.truncated


@pytest.mark.parametrize("spec", ["fixed:1", "expectation"])
@pytest.mark.parametrize("task_name", ["SST-2", "STS-B"])
def test_an_answer_that_is_not_finite_is_refused(exported, examples, task_name, spec):
    """The weights are finite, but their products overflow for one example of three."""
    predictor = PalbertPredictor.from_pretrained(exported(task_name))
    given = examples(task_name)[10:13]
    only = (set(predictor.tokens(given)[1].tolist()) - set(torch.cat(predictor.tokens([given[0], given[2]])).tolist()))
    row, = list(only)[:1]
    predictor.network.encoder.embed_tokens.weight.data[row] = 3e38
    with pytest.raises(UserError, match="example 41: the answer is NaN or infinite"):
        predictor.predict(given, spec, first_id=40)
    assert len(predictor.predict(given[::2], spec)) == 2
