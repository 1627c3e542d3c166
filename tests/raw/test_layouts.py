"""Tests of SuperGLUE's layouts: rows of objects, faults, and official counts."""

import json
from collections import Counter
from copy import deepcopy

import pytest

from fairseq_palbert.definitions import split_content
from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged_task
from fairseq_palbert.raw.examples import Example, read_examples
from fairseq_palbert.raw.layouts import LAYOUTS
from tests.fixtures.raw_superglue import objects, write_jsonl

BOOLQ = {"question": "is it", "passage": "It is.", "idx": 0, "label": True}
COPA = {"premise": "It rained.", "choice1": "It got wet.", "choice2": "It dried.", "question": "effect", "label": 0,
        "idx": 7}
MULTIRC = {"idx": 3, "version": 1.1, "passage": {"text": "A cat sat.", "questions": [
    {"question": "Who?", "idx": 11, "answers": [{"text": "A cat", "idx": 40, "label": 1},
                                                {"text": "", "idx": 41, "label": 0}]},
    {"question": "What?", "idx": 12, "answers": [{"text": "It ran", "idx": 42, "label": 0}]}]}}
RECORD = {"source": "CNN", "idx": 5, "passage": {
    "text": "Ann met Bo Lee\n@highlight\nAnn won!\n@highlight\nBo Lee lost",
    "entities": [{"start": 0, "end": 2}, {"start": 8, "end": 13}, {"start": 26, "end": 28}, {"start": 46, "end": 51}]},
    "qas": [{"query": "@placeholder lost to @placeholder", "idx": 9,
             "answers": [{"start": 8, "end": 13, "text": "Bo Lee"}, {"start": 46, "end": 51, "text": "Bo Lee"}]}]}
WIC = {"word": "do", "sentence1": "Don't.", "sentence2": "He does it", "start1": 0, "end1": 2, "start2": 3, "end2": 7,
       "idx": 0, "version": 1.1, "label": False}
WSC = {"text": "The cat saw Tom's dog,  as it ran.", "idx": 0, "label": False, "target": {
    "span1_index": 3, "span1_text": "tom", "span2_index": 6, "span2_text": "it"}}
CASES = {"BoolQ": BOOLQ, "COPA": COPA, "MultiRC": MULTIRC, "ReCoRD": RECORD, "WiC": WIC, "WSC": WSC}


@pytest.mark.parametrize("name, rows", [
    ("BoolQ", [{"passage": "It is.", "question": "is it", "label": "true"}]),
    ("COPA", [{"premise": "It rained. What happened as a result?", "choice": "It got wet.", "idx": "7",
               "candidate": "0", "label": "true"},
              {"premise": "It rained. What happened as a result?", "choice": "It dried.", "idx": "7",
               "candidate": "1", "label": "false"}]),
    ("MultiRC", [{"passage": "A cat sat.", "question_and_answer": text, "question_idx": question, "answer_idx": answer,
                  "label": label}
                 for text, question, answer, label in (("Who? A cat", "3-11", "40", "1"), ("Who? ", "3-11", "41", "0"),
                                                       ("What? It ran", "3-12", "42", "0"))]),
    ("ReCoRD", [{"passage": "Ann met Bo Lee. Ann won! Bo Lee lost", "query": f"{entity} lost to {entity}", "idx": "9",
                 "entity": entity, "label": label} for entity, label in (("Ann", "false"), ("Bo Lee", "true"))]),
    ("WiC", [{"sentence1": "[ Do ]n't.", "sentence2": "He [ does ] it", "label": "false"}]),
    ("WSC", [{"text": "The cat saw * Tom *'s dog,  as [ it ] ran.", "label": "false"}]),
])
def test_rows_of_an_object(name, rows):
    value = deepcopy(CASES[name])
    assert LAYOUTS[name](value) == rows
    assert value == CASES[name], "the object is not changed"


def without_labels(value):
    """Returns the object as a test split has it: without labels and without ReCoRD's answers."""
    if isinstance(value, dict):
        return {name: without_labels(part) for name, part in value.items() if name not in ("label",) + (
            ("answers",) if "query" in value else ())}
    return [without_labels(part) for part in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", CASES)
def test_an_object_of_a_test_split_has_the_same_rows_without_labels(name):
    rows = [{column: text for column, text in row.items() if column != "label"} for row in LAYOUTS[name](CASES[name])]
    assert LAYOUTS[name](without_labels(CASES[name])) == rows


@pytest.mark.parametrize("name", ["BoolQ", "WiC", "WSC"])
@pytest.mark.parametrize("label, spelt", [(True, "true"), (False, "false"), ("true", "true"), ("True", "true"),
                                          ("False", "false")])
def test_a_truth_value_may_be_a_text(name, label, spelt):
    assert LAYOUTS[name](CASES[name] | {"label": label})[0]["label"] == spelt


def test_an_idx_may_be_a_text():
    assert LAYOUTS["COPA"](COPA | {"idx": "7"}) == LAYOUTS["COPA"](COPA)


def wsc(text: str, first: int, noun: str, second: int, pronoun: str) -> str:
    row, = LAYOUTS["WSC"]({"text": text, "target": {"span1_index": first, "span1_text": noun, "span2_index": second,
                                                      "span2_text": pronoun}})
    return row["text"]


@pytest.mark.parametrize("arguments, marked", [
    (("It saw it; it ran.", 2, "it", 3, "it"), "It saw * it *; [ it ] ran."),  # the occurrence at the index
    (("Tom ran. it won", 0, "Tom", 2, "It"), "* Tom * ran. [ it ] won"),  # upper and lower case
    (("The light was red, it was.", 0, "the light.", 4, "it"), "* The light * was red, [ it ] was."),
    (("They use it now.", 0, "They", 1, "it"), "* They * use [ it ] now."),  # an index that is one off
    (("A b  c saw him", 0, "A b\nc", 4, "him"), "* A b  c * saw [ him ]"),  # other white space
    (("Ann, Bob's friend, left. She ran.", 0, "Ann and Bob", 4, "she"), "* Ann, Bob's friend, * left. [ She ] ran."),
    (("and their mothers cry", 1, "their mothers", 1, "their"), "and * [ their ] mothers * cry"),
    (("his own", 0, "his", 1, "own"), "* his * [ own ]"),
])
def test_spans_of_wsc(arguments, marked):
    assert wsc(*arguments) == marked


def changed(name: str, path: str, value) -> dict:
    """Returns the case with ``value`` at ``path``, or without that field if ``value`` is ``...``."""
    case = deepcopy(CASES[name])
    *places, last = (int(place) if place.isdigit() else place for place in path.split("."))
    parent = case
    for place in places:
        parent = parent[place]
    if value is ...:
        del parent[last]
    else:
        parent[last] = value
    return case


@pytest.mark.parametrize("name, path, value, reason", [
    ("BoolQ", "passage", ..., "has no passage"),
    ("BoolQ", "question", 3, "question is 3, and should be a text"),
    ("BoolQ", "label", "yes", "label is 'yes', and should be true or false"),
    ("BoolQ", "label", None, "label is None, and should be true or false"),
    ("COPA", "question", "why", "question is 'why', and should be cause or effect"),
    ("COPA", "label", 2, "label is 2, and should be a whole number from 0 to 1"),
    ("COPA", "label", True, "label is True, and should be a whole number from 0 to 1"),
    ("COPA", "idx", -1, "idx is -1, and should be a whole number from 0"),
    ("COPA", "idx", ..., "has no idx"),
    ("COPA", "choice2", ..., "has no choice2"),
    ("MultiRC", "passage", "A cat sat.", "passage is 'A cat sat.', and should be an object"),
    ("MultiRC", "passage.questions", {}, "questions is {}, and should be a list"),
    ("MultiRC", "passage.questions", [], "questions is [], and should be a list of one object or more"),
    ("MultiRC", "passage.questions.0.answers", [1], "answers is [1], and should be a list of one object or more"),
    ("MultiRC", "passage.questions.0.answers.1.text", ..., "has no text"),
    ("MultiRC", "passage.questions.1.idx", 1.5, "idx is 1.5, and should be a whole number from 0"),
    ("ReCoRD", "passage.entities.0.end", 58, "end is 58, and should be a whole number from 0 to 56"),
    ("ReCoRD", "passage.entities.1.start", 14, "start is 14, and should be a whole number from 0 to 13"),
    ("ReCoRD", "qas.0.query", "Who won?", "query 9 has no @placeholder"),
    ("ReCoRD", "qas.0.answers", [{"text": "Cy"}], "query 9 has no answer that is an entity of the passage"),
    ("ReCoRD", "qas.0.answers.0", {}, "has no text"),
    ("WiC", "end2", 11, "end2 is 11, and should be a whole number from 1 to 10"),
    ("WiC", "start1", 2, "start1 is 2, and should be a whole number from 0 to 1"),
    ("WSC", "target.span2_index", 8, "span2_index is 8, and should be a whole number from 0 to 7"),
    ("WSC", "target.span1_text", " .", "span1_text has no word"),
    ("WSC", "target", ..., "has no target"),
])
def test_an_object_of_another_form_is_refused(name, path, value, reason):
    with pytest.raises(ValueError) as error:
        LAYOUTS[name](changed(name, path, value))
    assert str(error.value) == reason


@pytest.mark.parametrize("name, task", benchmark_tasks("SuperGLUE").items())
def test_every_split_of_every_task_is_read(name, task, write_superglue):
    raw = write_superglue(name)
    for split in task.splits:
        rows = list(read_examples(task, split, raw))
        assert all(isinstance(row, Example) for row in rows), rows
        assert len(rows) == {"COPA": 12, "MultiRC": 30, "ReCoRD": 12}.get(name, 6)
        assert {row.label for row in rows} == (set(task.labels) if split.labelled else {None})
        assert all(len(row.sentences) == len(task.sentences) for row in rows)
        groups = Counter(row.group for row in rows)
        assert len(groups) == {"COPA": 6, "MultiRC": 12, "ReCoRD": 6, "AX-g": 3}.get(name, 1)
        assert (None in groups) == (task.groups is None)
        assert all((row.candidate is None) == (not task.groups or task.groups.candidate is None) for row in rows)


def test_a_faulty_object_is_a_rejected_row(write_superglue):
    raw = write_superglue("WiC")
    faulty = objects("WiC", (3, 0, 0), True)
    faulty[1]["end1"] = 99
    write_jsonl(raw / "WiC" / "train.jsonl", faulty)
    task = packaged_task("WiC")
    _, rejected, _ = read_examples(task, task.split("train"), raw)
    assert rejected.line == 2 and "end1 is 99, and should be a whole number from 1 to 14" in rejected.reason


OFFICIAL_ROWS = {  # rows of train, val and test; a row is a choice in COPA and an answer in MultiRC
    "BoolQ": (9427, 3270, 3245), "CB": (250, 56, 250), "COPA": (800, 200, 1000), "MultiRC": (27243, 4848, 9693),
    "SuperGLUE-RTE": (2490, 277, 3000), "WiC": (5428, 638, 1400), "WSC": (554, 104, 146), "AX-b": (1104,),
    "AX-g": (356,),
}
OFFICIAL_GROUPS = {"COPA": (400, 100, 500), "MultiRC": (5131, 953, 1820), "ReCoRD": (100_730, 10_000, 10_000),
                   "AX-g": (178,)}


@pytest.mark.parametrize("name", OFFICIAL_ROWS)
def test_official_sizes(name):
    assert tuple(split.rows for split in packaged_task(name).splits) == OFFICIAL_ROWS[name]


@pytest.mark.parametrize("name", OFFICIAL_GROUPS)
def test_official_groups(name):
    assert tuple(split.groups for split in packaged_task(name).splits) == OFFICIAL_GROUPS[name]


@pytest.mark.parametrize("name", sorted(set(OFFICIAL_ROWS) - {"AX-g"}))
def test_the_real_files_have_the_official_rows(name, superglue_dir, tmp_path):
    """The real data has BoolQ's train without titles of passages, under another name, and it lacks AX-g."""
    task = packaged_task(name)
    (tmp_path / task.folder).mkdir()
    for file in superglue_dir(task.folder).iterdir():
        (tmp_path / task.folder / file.name.replace(".notitle", "")).symlink_to(file)
    for place, (split, count) in enumerate(zip(task.splits, OFFICIAL_ROWS[name])):
        rows = list(read_examples(task, split, tmp_path))
        assert [row for row in rows if not isinstance(row, Example)] == []
        assert len(rows) == count
        assert {row.label for row in rows} == (set(task.labels) if split.labelled else {None})
        if task.groups:
            groups = Counter(row.group for row in rows)
            assert len(groups) == OFFICIAL_GROUPS[name][place]
            assert len(set((row.group, row.candidate) for row in rows)) == len(rows)
            if name == "COPA" and split.labelled:
                assert sum(row.label == task.positive for row in rows) == len(groups)


def test_the_real_queries_of_record_have_an_answer_each(superglue_dir):
    folder = superglue_dir("ReCoRD_32")
    for file in ("train.jsonl", "dev32.jsonl"):
        lines = (folder / file).read_text(encoding="utf-8").splitlines()
        groups = Counter(row["idx"] for line in lines for row in LAYOUTS["ReCoRD"](json.loads(line))
                         if row["label"] == "true")
        assert len(groups) == 32


def test_a_task_file_may_name_each_layout():
    assert set(LAYOUTS) == set(split_content.LAYOUTS)
