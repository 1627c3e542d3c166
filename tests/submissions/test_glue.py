"""Tests of GLUE submissions: sound zips, and one line for each damage."""

import os
import tracemalloc
import zipfile
from dataclasses import replace

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.submissions.glue import GLUE

THREE, TWO, BITS = ["entailment", "neutral", "contradiction"], ["entailment", "not_entailment"], ["0", "1"]
OFFICIAL = {  # rows and possible answers, as on gluebenchmark.com
    "AX.tsv": (1104, THREE), "CoLA.tsv": (1063, BITS), "MNLI-m.tsv": (9796, THREE), "MNLI-mm.tsv": (9847, THREE),
    "MRPC.tsv": (1725, BITS), "QNLI.tsv": (5463, TWO), "QQP.tsv": (390965, BITS), "RTE.tsv": (3000, TWO),
    "SST-2.tsv": (1821, BITS), "STS-B.tsv": (1379, ["0.000", "2.345", "5.000"]), "WNLI.tsv": (146, BITS),
}


def answers_of(sizes: dict[str, int]) -> dict[str, list[str]]:
    """Returns ``sizes[file]`` answers for each file: the possible answers of its task in turn."""
    return {file: [OFFICIAL[file][1][row % len(OFFICIAL[file][1])] for row in range(rows)] for file,
            rows in sizes.items()}


@pytest.fixture(scope="module")
def official():
    return answers_of({file: rows for file, (rows, _) in OFFICIAL.items()})


@pytest.fixture
def shorter(monkeypatch):
    """Returns answers where QQP has 100 rows instead of 390,965, to save time."""
    qqp = GLUE.sheets["QQP.tsv"]
    monkeypatch.setitem(GLUE.sheets, "QQP.tsv", replace(qqp, split=replace(qqp.split, rows=100)))
    return answers_of({file: sheet.split.rows for file, sheet in GLUE.sheets.items()})


def contents_of(path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_our_zip_is_sound_at_the_official_sizes(official, tmp_path):
    GLUE.write(tmp_path / "a.zip", official)
    assert GLUE.faults(tmp_path / "a.zip") == []
    contents = contents_of(tmp_path / "a.zip")
    assert list(contents) == list(OFFICIAL)
    for file, content in contents.items():
        header, *rows = content.decode().splitlines()
        assert header == "index\tprediction"
        assert [row.split("\t") for row in rows] == [[str(i), answer] for i, answer in enumerate(official[file])]


def test_the_same_answers_give_the_same_bytes(shorter, tmp_path, monkeypatch):
    GLUE.write(tmp_path / "a.zip", shorter)
    monkeypatch.setattr("time.time", lambda: 2e9)
    GLUE.write(tmp_path / "b.zip", dict(reversed(shorter.items())))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("prediction, spelt", [
    ("2.34549", "2.345"), ("-0.2", "0.000"), ("-0.0", "0.000"), ("5.3", "5.000"), ("3", "3.000"), ("1e-5", "0.000"),
    ("nan", "nan"), ("inf", "inf"),
])
def test_scores_are_clipped_but_not_made_up(prediction, spelt):
    assert GLUE.sheets["STS-B.tsv"].spelt(prediction) == spelt


def test_labels_are_spelt_as_they_are():
    assert GLUE.sheets["RTE.tsv"].spelt("not_entailment") == "not_entailment"
    assert GLUE.sheets["WNLI.tsv"].spelt("1") == "1"


def test_the_filler_is_an_answer(shorter, tmp_path):
    GLUE.write(tmp_path / "a.zip", {file: [GLUE.sheets[file].filler] * len(rows) for file, rows in shorter.items()})
    assert GLUE.faults(tmp_path / "a.zip") == []


@pytest.mark.parametrize("file, prediction", [("STS-B.tsv", "nan"), ("STS-B.tsv", "inf"), ("RTE.tsv", "1")])
def test_unsound_answers_are_not_written(shorter, tmp_path, file, prediction):
    (tmp_path / "a.zip").write_text("what was there")
    shorter[file][7] = prediction
    with pytest.raises(UserError, match=rf"{file}: line 9 \(row 7\): prediction '?{prediction}'? is"):
        GLUE.write(tmp_path / "a.zip", shorter)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.zip", "what was there")]


def test_a_folder_that_is_not_there_gives_one_line(shorter, tmp_path):
    with pytest.raises(UserError, match="cannot be written .No such file"):
        GLUE.write(tmp_path / "nowhere" / "a.zip", shorter)


def row(old: bytes, new: bytes):
    """Returns a function that replaces the line ``old``, which occurs once, by ``new``, or deletes it."""

    def edit(content: bytes) -> bytes:
        assert content.count(b"\n" + old + b"\n") == 1
        return content.replace(b"\n" + old + b"\n", b"\n" + new + b"\n" if new else b"\n")

    return edit


INDICES = "they go from 0 to 145, each once, in order"
DAMAGED_FILES = {
    "empty": ("WNLI.tsv", lambda content: b"", "is empty"),
    "header alone": ("WNLI.tsv", lambda content: b"index\tprediction\n", "0 rows, but GLUE's WNLI test has 146"),
    "no header": ("WNLI.tsv", lambda content: content.split(b"\n", 1)[1],
                  r"line 1: the header is '0\t0' instead of 'index\tprediction'"),
    "other header": ("WNLI.tsv", lambda content: content.replace(b"index", b"id"),
                     r"line 1: the header is 'id\tprediction' instead of 'index\tprediction'"),
    "byte order mark": ("WNLI.tsv", lambda content: b"\xef\xbb\xbf" + content,
                        r"line 1: the header is '\ufeffindex\tprediction' instead of 'index\tprediction'"),
    "other encoding": ("WNLI.tsv", row(b"3\t1", b"3\t\xb9"), "line 5: byte 0xb9 is no UTF-8"),
    "UTF-16": ("WNLI.tsv", lambda content: content.decode().encode("utf-16"), "line 1: byte 0xff is no UTF-8"),
    "CRLF": ("WNLI.tsv", lambda content: content.replace(b"\n", b"\r\n"),
             r"line 1: the header is 'index\tprediction\r' instead of 'index\tprediction'"),
    "cut off": ("WNLI.tsv", lambda content: content[:content.index(b"\n145\t") + 1],
                "145 rows, but GLUE's WNLI test has 146"),
    "one row more": ("WNLI.tsv", lambda content: content + b"146\t0\n", "147 rows, but GLUE's WNLI test has 146"),
    "matched for mismatched": ("MNLI-mm.tsv", lambda content: content[:content.index(b"\n9796\t") + 1],
                               "9796 rows, but GLUE's MNLI test1 has 9847"),
    "blank line at the end": ("WNLI.tsv", lambda content: content + b"\n", "line 148 (row 146): 1 column instead of 2"),
    "a column more": ("WNLI.tsv", row(b"3\t1", b"3\t1\t0.9"), "line 5 (row 3): 3 columns instead of 2"),
    "commas": ("WNLI.tsv", row(b"3\t1", b"3,1"), "line 5 (row 3): 1 column instead of 2"),
    "missing id": ("WNLI.tsv", row(b"3\t1", b""), f"line 5 (row 3): index '4' instead of 3: {INDICES}"),
    "id twice": ("WNLI.tsv", row(b"3\t1", b"2\t1"), f"line 5 (row 3): index '2' instead of 3: {INDICES}"),
    "ids from 1": ("WNLI.tsv", row(b"0\t0", b"1\t0"), f"line 2 (row 0): index '1' instead of 0: {INDICES}"),
    "id no number": ("WNLI.tsv", row(b"3\t1", b"3.0\t1"), f"line 5 (row 3): index '3.0' instead of 3: {INDICES}"),
    "label of another task": ("RTE.tsv", row(b"3\tnot_entailment", b"3\tneutral"),
                              "line 5 (row 3): prediction 'neutral' is none of entailment, not_entailment"),
    "class id for a label": ("AX.tsv", row(b"3\tentailment", b"3\t0"),
                             "line 5 (row 3): prediction '0' is none of entailment, neutral, contradiction"),
    "label for a class id": ("WNLI.tsv", row(b"3\t1", b"3\tentailment"),
                             "line 5 (row 3): prediction 'entailment' is none of 0, 1"),
    "capital letter": ("QNLI.tsv", row(b"2\tentailment", b"2\tEntailment"),
                       "line 4 (row 2): prediction 'Entailment' is none of entailment, not_entailment"),
    "no label": ("WNLI.tsv", row(b"3\t1", b"3\t"), "line 5 (row 3): prediction '' is none of 0, 1"),
    "nan": ("STS-B.tsv", row(b"3\t0.000", b"3\tnan"), "line 5 (row 3): prediction 'nan' is no number"),
    "infinity": ("STS-B.tsv", row(b"3\t0.000", b"3\tinf"), "line 5 (row 3): prediction 'inf' is no number"),
    "negative score": ("STS-B.tsv", row(b"3\t0.000", b"3\t-0.001"),
                       "line 5 (row 3): prediction -0.001 is not at least 0 and at most 5"),
    "not clipped": ("STS-B.tsv", row(b"3\t0.000", b"3\t5.001"),
                    "line 5 (row 3): prediction 5.001 is not at least 0 and at most 5"),
    **{f"score {score!a}": ("STS-B.tsv", row(b"3\t0.000", f"3\t{score}".encode()),
                            f"line 5 (row 3): prediction {score!r} is no number")
       for score in ("0_3", " 2.5", "３.5", "٣", "+2.5", "2.5\r")},
    "score in words": ("STS-B.tsv", row(b"3\t0.000", b"3\thigh"), "line 5 (row 3): prediction 'high' is no number"),
}


@pytest.mark.parametrize("file, damage, line", DAMAGED_FILES.values(), ids=DAMAGED_FILES)
def test_damage_to_a_file_gives_its_line(shorter, tmp_path, file, damage, line):
    GLUE.write(tmp_path / "a.zip", shorter)
    contents = contents_of(tmp_path / "a.zip")
    contents[file] = damage(contents[file])
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    assert GLUE.faults(tmp_path / "b.zip") == [f"{file}: {line}"]


DAMAGED_NAMES = {
    "missing": (lambda names: names[1:], ["AX.tsv: is missing"]),
    "extra": (lambda names: [*names, "MNLI.tsv"], ["MNLI.tsv: is none of GLUE's 11 files"]),
    "other case": (lambda names: [*names[:-1], "wnli.tsv"],
                   ["wnli.tsv: is none of GLUE's 11 files", "WNLI.tsv: is missing"]),
    "twice": (lambda names: [*names, "RTE.tsv"], ["RTE.tsv: is in the zip 2 times"]),
    "a folder": (lambda names: ["glue/", *names], ["glue/: a folder, or in one: the files belong at the top"]),
    "in a folder": (lambda names: ["glue/AX.tsv", *names[1:]],
                    ["glue/AX.tsv: a folder, or in one: the files belong at the top", "AX.tsv: is missing"]),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("damage, lines", DAMAGED_NAMES.values(), ids=DAMAGED_NAMES)
def test_other_files_than_the_eleven_give_their_lines(shorter, tmp_path, damage, lines):
    GLUE.write(tmp_path / "a.zip", shorter)
    contents = contents_of(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name in damage(list(contents)):
            archive.writestr(name, contents.get(name, b""))
    assert GLUE.faults(tmp_path / "b.zip") == lines


UNREADABLE = {
    "truncated": (lambda data: data[:-100], "is no zip, or a damaged one (File is not a zip file)"),
    "no zip": (lambda data: b"index\tprediction\n", "is no zip, or a damaged one (File is not a zip file)"),
    "empty": (lambda data: b"", "is no zip, or a damaged one (File is not a zip file)"),
    "a bit flipped": (lambda data: data.replace(b"index\tprediction\n0\t0.000", b"index\tprediction\n0\t1.000"),
                      "STS-B.tsv: does not unpack (Bad CRC-32 for file 'STS-B.tsv')"),
}


@pytest.mark.parametrize("damage, line", UNREADABLE.values(), ids=UNREADABLE)
def test_a_zip_that_cannot_be_read_gives_one_line(shorter, tmp_path, damage, line):
    GLUE.write(tmp_path / "a.zip", shorter)
    (tmp_path / "b.zip").write_bytes(damage((tmp_path / "a.zip").read_bytes()))
    assert GLUE.faults(tmp_path / "b.zip") == [line]


def test_no_zip_at_all_gives_one_line(tmp_path):
    assert GLUE.faults(tmp_path / "nowhere.zip") == ["cannot be read (No such file or directory)"]


def test_a_pipe_and_a_large_file_are_not_read(shorter, tmp_path):
    os.mkfifo(tmp_path / "a.zip")
    assert GLUE.faults(tmp_path / "a.zip") == ["is no regular file"]
    with open(tmp_path / "b.zip", "wb") as file:
        file.truncate(10**9)  # a sparse file
    line, = GLUE.faults(tmp_path / "b.zip")
    assert line.startswith("has more than ")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("declared", [None, 1000])
def test_a_file_that_unpacks_large_is_not_unpacked(shorter, tmp_path, method, declared):
    """A member has 40 MB of zeros, and the directory of the zip states that size or only 1000 bytes."""
    path = tmp_path / "a.zip"
    GLUE.write(path, shorter)
    contents = contents_of(path)
    contents["WNLI.tsv"] = bytes(40 * 10**6)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content, method if name == "WNLI.tsv" else None)
        if declared:
            archive.getinfo("WNLI.tsv").file_size = declared
    tracemalloc.start()
    lines = GLUE.faults(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(lines) == 1 and lines[0].startswith("WNLI.tsv: ") and peak < 10**7
