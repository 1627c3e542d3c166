"""Tests of SuperGLUE submissions: sound zips, and one line for each damage."""

import json
import zipfile

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.submissions.superglue import SUPERGLUE
from tests.fixtures.raw_superglue import TEST_EXAMPLES, write_jsonl

FILES = ["AX-b.jsonl", "AX-g.jsonl", "BoolQ.jsonl", "CB.jsonl", "COPA.jsonl", "MultiRC.jsonl", "RTE.jsonl",
         "ReCoRD.jsonl", "WSC.jsonl", "WiC.jsonl"]


@pytest.fixture(scope="module")
def official(tmp_path_factory, write_official):
    """Returns the benchmark with the idx values of test files that have the official sizes."""
    return SUPERGLUE.read(write_official(tmp_path_factory.mktemp("official")))


@pytest.fixture(scope="module")
def answers(official):
    """Returns the answers to each file: the labels of its task in turn."""
    return {file: [sheet.task.labels[row % len(sheet.task.labels)] for row in range(sheet.rows)]
            for file, sheet in official.sheets.items()}


@pytest.fixture(scope="module")
def sound(official, answers, tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "a.zip"
    official.write(path, answers)
    return path


def contents_of(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_our_zip_is_sound_at_the_official_sizes(sound):
    assert SUPERGLUE.faults(sound) == []
    contents = contents_of(sound)
    assert list(contents) == FILES
    assert {file: content.count(b"\n") for file, content in contents.items()} == {
        f"{name.removeprefix('SuperGLUE-')}.jsonl": lines for name, lines in TEST_EXAMPLES.items()}


def test_the_filler_is_an_answer(official, tmp_path):
    official.write(tmp_path / "a.zip", {file: [sheet.filler] * sheet.rows for file, sheet in official.sheets.items()})
    assert SUPERGLUE.faults(tmp_path / "a.zip") == []


FEW = {  # answers to the rows of three objects, and their lines in the submission
    "AX-b": (["entailment", "not_entailment", "entailment"], [
        {"idx": "0", "label": "entailment"}, {"idx": "1", "label": "not_entailment"},
        {"idx": "2", "label": "entailment"}]),
    "BoolQ": (["true", "false", "true"], [{"idx": 0, "label": "true"}, {"idx": 1, "label": "false"},
                                          {"idx": 2, "label": "true"}]),
    "COPA": (["true", "false", "false", "true", "true", "true"], [{"idx": 0, "label": 0}, {"idx": 1, "label": 1},
                                                                  {"idx": 2, "label": 0}]),
    "ReCoRD": (["false", "true", "true", "false", "false", "true"], [
        {"idx": 0, "label": "Rex"}, {"idx": 1, "label": "Tom"}, {"idx": 2, "label": "Rex"}]),
    "WSC": (["true", "false", "false"], [{"idx": 0, "label": "True"}, {"idx": 1, "label": "False"},
                                         {"idx": 2, "label": "False"}]),
    "MultiRC": (list("101000110010101"), [
        {"idx": passage, "passage": {"questions": [
            {"idx": question, "answers": [{"idx": answer, "label": label} for answer, label in labels]}
            for question, labels in questions]}}
        for passage, questions in enumerate((
            ((0, ((0, 1), (1, 0), (2, 1))), (1, ((3, 0), (4, 0), (5, 0)))),
            ((2, ((6, 1), (7, 1), (8, 0))), (3, ((9, 0), (10, 1)))),
            ((4, ((11, 0), (12, 1))), (5, ((13, 0), (14, 1))))))]),
}


@pytest.mark.parametrize("name", FEW)
def test_answers_are_spelt_and_nested_as_the_benchmark_has_them(name, write_superglue):
    raw = write_superglue(name, lines=3)
    labels, lines = FEW[name]
    sheet = SUPERGLUE.sheets[f"{name}.jsonl"].read(raw)
    assert sheet.rows == len(labels)
    assert list(map(json.loads, sheet.content(labels).splitlines())) == lines


@pytest.mark.parametrize("name", ["COPA", "ReCoRD"])
def test_a_group_without_an_answer_is_not_made_up(name, write_superglue):
    sheet = SUPERGLUE.sheets[f"{name}.jsonl"].read(write_superglue(name, lines=2))
    with pytest.raises(UserError, match=f"{name}.jsonl: no row of idx 1 is answered true"):
        sheet.content(["true", "false", "false", "false"])


@pytest.mark.parametrize("name, label", [("CB", "yes"), ("MultiRC", "2"), ("WSC", "True"), ("BoolQ", "True")])
def test_an_answer_that_is_none_of_the_task_is_refused(name, label, write_superglue):
    sheet = SUPERGLUE.sheets[f"{name}.jsonl"].read(write_superglue(name, lines=3))
    answers = [sheet.filler] * (sheet.rows - 1) + [label]
    with pytest.raises(UserError, match=f"{name}.jsonl: prediction '{label}' is none of"):
        sheet.content(answers)


def test_raw_files_are_needed_and_named(write_superglue):
    with pytest.raises(UserError, match=r"give --raw or \$SUPERGLUE_DIR"):
        SUPERGLUE.read(None)
    raw = write_superglue()
    (raw / "WSC" / "test.jsonl").unlink()
    with pytest.raises(UserError, match=r"WSC/test.jsonl is missing: give the folder of SuperGLUE's task folders"):
        SUPERGLUE.read(raw)


@pytest.mark.parametrize("name, objects, reason", [
    ("CB", [{"premise": "a", "hypothesis": "b"}], "CB/test.jsonl, line 1: has no idx"),
    ("CB", [{"idx": 0}, {"idx": 1.5}], "CB/test.jsonl, line 2: idx is 1.5"),
    ("COPA", [{"idx": 0}], "COPA/test.jsonl, line 1: has no question"),
    ("AX-g", [{"idx": 0, "premise": "a", "hypothesis": "b"}], "AX-g/AX-g.jsonl, line 1: has no pair_id"),
])
def test_a_raw_file_of_another_form_is_refused(name, objects, reason, write_superglue):
    raw = write_superglue(name)
    write_jsonl(raw / name / SUPERGLUE.sheets[f"{name}.jsonl"].split.source.file, objects)
    with pytest.raises(UserError, match=reason):
        SUPERGLUE.sheets[f"{name}.jsonl"].read(raw)


def line(number: int, **fields):
    """Returns a function that sets fields of one line; None deletes the field."""

    def edit(lines: list[bytes]) -> list[bytes]:
        value = json.loads(lines[number - 1]) | fields
        value = {name: content for name, content in value.items() if content is not None}
        return [*lines[:number - 1], json.dumps(value).encode(), *lines[number:]]

    return edit


def text(number: int, old: bytes, new: bytes):
    """Returns a function that replaces ``old`` by ``new`` in the text of one line."""

    def edit(lines: list[bytes]) -> list[bytes]:
        assert old in lines[number - 1]
        return [*lines[:number - 1], lines[number - 1].replace(old, new, 1), *lines[number:]]

    return edit


IDX = "and should be a whole number from 0, or a text of one"
DAMAGED_FILES = {
    "empty": ("CB", lambda lines: [], "is empty"),
    "cut off": ("CB", lambda lines: lines[:-1], "249 times idx, but SuperGLUE's CB test has 250"),
    "another split": ("CB", lambda lines: lines[:56], "56 times idx, but SuperGLUE's CB test has 250"),
    "one line more": ("CB", lambda lines: [*lines, b'{"idx": 250, "label": "neutral"}'],
                      "line 251: idx: 250 is not at least 0 and at most 249"),
    "idx twice": ("CB", line(4, idx=1), "line 4: the idx 1 is on line 2 too"),
    "idx from 1": ("CB", line(250, idx=250), "line 250: idx: 250 is not at least 0 and at most 249"),
    "idx no number": ("CB", line(4, idx="x"), f"line 4: idx is 'x', {IDX}"),
    "idx a float": ("CB", line(4, idx=3.0), f"line 4: idx is 3.0, {IDX}"),
    "no idx": ("CB", line(4, idx=None), "line 4: has no idx"),
    "no label": ("CB", line(4, label=None), "line 4: has no label"),
    "another field": ("CB", line(4, probability=0.5), "line 4: has probability, which this code does not know"),
    "label of another task": ("RTE", line(4, label="neutral"),
                              'line 4: label is \'neutral\', and should be "entailment" or "not_entailment"'),
    "class id for a label": ("CB", line(4, label=1), 'line 4: label is 1, and should be "entailment" or "neutral" or '
                                                     '"contradiction"'),
    "capital letter": ("BoolQ", line(4, label="True"),
                       'line 4: label is \'True\', and should be "false" or "true"'),
    "no capital letter": ("WSC", line(4, label="true"), 'line 4: label is \'true\', and should be "True" or "False"'),
    "a JSON boolean": ("WiC", line(4, label=True), 'line 4: label is True, and should be "false" or "true"'),
    "a text for a choice": ("COPA", line(4, label="1"), "line 4: label is '1', and should be 0 or 1"),
    "a third choice": ("COPA", line(4, label=2), "line 4: label is 2, and should be 0 or 1"),
    "no entity": ("ReCoRD", line(4, label=""), "line 4: label is '', and should be the text of an entity"),
    "MultiRC flat": ("MultiRC", line(4, passage=None, label=1), "line 4: has no passage"),
    "MultiRC not nested": ("MultiRC", line(4, passage=[]), "line 4: passage is [], and should be an object of "
                           "questions"),
    "MultiRC with a text": ("MultiRC", text(4, b'"passage": {', b'"passage": {"text": "", '),
                            "line 4: passage is {'questions': "),
    "MultiRC's label a text": ("MultiRC", text(4, b'"label": 0', b'"label": "0"'), "line 4: passage is {'questions': "),
    "MultiRC's question twice": ("MultiRC", text(4, b'{"questions": [{"idx": 33', b'{"questions": [{"idx": 34'),
                                 "line 4: the idx of a question 34 is on line 4 too"),
    "MultiRC lacks an answer": ("MultiRC", text(166, b', {"idx": 9692, "label": 0}', b""),
                                "9692 times idx of an answer, but SuperGLUE's MultiRC test has 9693"),
    "no JSON": ("CB", text(4, b"{", b""), "line 4: not JSON (Extra data: line 1 column 6 (char 5))"),
    "a list": ("CB", lambda lines: [b"[]", *lines[1:]], "line 1: [] is no JSON object"),
    "TSV": ("CB", lambda lines: [b"0\tneutral", *lines[1:]], "line 1: not JSON (Extra data: line 1 column 3 (char 2))"),
    "a key twice": ("CB", text(4, b"{", b'{"idx": 3, '), "line 4: not JSON (the key 'idx' occurs twice)"),
    "blank line at the end": ("CB", lambda lines: [*lines, b""], "line 251: not JSON (Expecting value: line 1 column 1 "
                              "(char 0))"),
    "other encoding": ("ReCoRD", text(4, b'"Rex"', b'"R\xe9x"'), "line 4: byte 0xe9 is no UTF-8"),
    "nested deep": ("CB", lambda lines: [b'{"idx": ' + b"[" * 5000 + b"]" * 5000 + b"}", *lines[1:]],
                    "line 1: not JSON (nested more than 100 levels deep)"),
    "huge number": ("CB", text(4, b'"idx": 3', b'"idx": ' + b"9" * 5000), "line 4: not JSON (Exceeds the limit (4300 "
                    "digits) for integer string conversion: value has 5000 digits; use "
                    "sys.set_int_max_str_digits() to increase the limit)"),
}


@pytest.mark.parametrize("name, damage, words", DAMAGED_FILES.values(), ids=DAMAGED_FILES)
def test_damage_to_a_file_gives_its_line(sound, name, damage, words):
    lines = damage(contents_of(sound)[f"{name}.jsonl"].removesuffix(b"\n").split(b"\n"))
    fault = SUPERGLUE.sheets[f"{name}.jsonl"].fault(b"\n".join(lines) + b"\n" * bool(lines))
    assert fault == words or "MultiRC" in name and fault.startswith(words)


DAMAGED_ZIPS = {
    "missing": (lambda files: files.pop("CB.jsonl") and None, ["CB.jsonl: is missing"]),
    "extra": (lambda files: files.update({"WNLI.jsonl": b""}), ["WNLI.jsonl: is none of SuperGLUE's 10 files"]),
    "our name of RTE": (lambda files: files.update({"SuperGLUE-RTE.jsonl": files.pop("RTE.jsonl")}),
                        ["SuperGLUE-RTE.jsonl: is none of SuperGLUE's 10 files", "RTE.jsonl: is missing"]),
    "in a folder": (lambda files: files.update({"superglue/CB.jsonl": files.pop("CB.jsonl")}),
                    ["superglue/CB.jsonl: a folder, or in one: the files belong at the top", "CB.jsonl: is missing"]),
    "huge": (lambda files: files.update({"CB.jsonl": bytes(10**6)}),
             ["CB.jsonl: has 1,000,000 bytes, and at most 256,000 are this split's"]),
}


@pytest.mark.parametrize("damage, lines", DAMAGED_ZIPS.values(), ids=DAMAGED_ZIPS)
def test_other_files_than_the_ten_give_their_lines(sound, tmp_path, damage, lines):
    contents = contents_of(sound)
    damage(contents)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert SUPERGLUE.faults(tmp_path / "b.zip") == lines


@pytest.mark.parametrize("damage, line", [
    (lambda data: data[:-100], "is no zip, or a damaged one (File is not a zip file)"),
    (lambda data: b'{"idx": 0, "label": "true"}', "is no zip, or a damaged one (File is not a zip file)"),
    (lambda data: data.replace(b'"label": "neutral"', b'"label": "Neutral"', 1),
     "CB.jsonl: does not unpack (Bad CRC-32 for file 'CB.jsonl')"),
])
def test_a_damaged_zip_gives_one_line(sound, tmp_path, damage, line):
    (tmp_path / "b.zip").write_bytes(damage(sound.read_bytes()))
    assert SUPERGLUE.faults(tmp_path / "b.zip") == [line]


def test_unsound_answers_are_not_written(official, answers, tmp_path):
    with pytest.raises(UserError, match="a.zip is not written, since SuperGLUE would refuse it: CB.jsonl: is missing"):
        official.write(tmp_path / "a.zip", {file: labels for file, labels in answers.items() if file != "CB.jsonl"})
    assert list(tmp_path.iterdir()) == []
