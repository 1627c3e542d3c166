"""Tests of the command preprocess.data: its output, messages and refusals."""

import json
import os

import pytest

from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.tokenization import Vocabulary
from preprocess import binarize, data
from preprocess.data import main
from tests.fixtures.own_task import ROWS, TASK_FILE
from tests.fixtures.processes import run_python


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for variable in ("GLUE_DIR", "VOCAB_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # main sets the tokenizer's variables


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(tmp_path, small_vocabulary, out):
    """run("--task", "RTE", ...) calls the command with raw data from tmp_path/raw and the small vocabulary."""

    def call(*arguments: str, raw=tmp_path / "raw", vocab=small_vocabulary) -> None:
        places = [*(["--raw", str(raw)] if raw else []), *(["--vocab", str(vocab)] if vocab else [])]
        main([*places, "--out", str(out), *arguments])

    return call


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refusal(run, out, *arguments: str, **places) -> str:
    """Returns the message of the error, which has one line; the command writes nothing into ``out``."""
    before = names(out)
    with pytest.raises(UserError) as error:
        run(*arguments, **places)
    assert names(out) == before
    assert "\n" not in str(error.value)
    return str(error.value)


def set_row(folder, row: bytes, file: str = "train.tsv", line: int = 2) -> None:
    lines = (folder / file).read_bytes().split(b"\n")
    lines[line - 1] = row
    (folder / file).write_bytes(b"\n".join(lines))


@pytest.mark.parametrize("name", benchmark_tasks("GLUE"))
def test_every_task_is_made_whole(name, run, out, write_raw):
    write_raw(name)
    run("--task", name)
    task, made = packaged_task(name), out / name
    assert names(out) == [name]
    assert names(made) == ["glue.json", *[f"input{i}" for i in range(len(task.sentences))], "label"]
    files = {f"{split.name}.{end}" for split in task.splits for end in ("bin", "idx")}
    assert set(names(made / "input0")) == files | {"dict.txt"}


@pytest.mark.parametrize("name", benchmark_tasks("SuperGLUE"))
def test_every_task_of_superglue_is_made_whole(name, run, out, write_superglue, capsys):
    write_superglue(name)
    run(name)
    task, printed = packaged_task(name), capsys.readouterr()
    parts = [f"input{i}" for i in range(len(task.sentences))]
    assert names(out / name) == ["glue.json", *(["group"] if task.groups else []), *parts, "label"]
    rows = {"COPA": 12, "MultiRC": 30, "ReCoRD": 12}.get(name, 6)
    for split in task.splits:
        assert len(sentences(out / name, split.name)) == rows
        if split.groups:
            groups = {"MultiRC": 12, "AX-g": 3}.get(name, 6)
            assert f"{name} {split.name}: {groups} groups, but the official file has {split.groups}" in printed.err
            assert f", {groups} groups (official: {split.groups}), 0 of " in printed.out


def test_several_tasks_get_a_folder_each(run, out, write_raw):
    write_raw("RTE"), write_raw("CoLA")
    run("--task", "RTE", "--task", "CoLA", "--task", "RTE")
    assert names(out) == ["CoLA", "RTE"]


def test_the_places_come_from_the_environment(run, out, write_raw, small_vocabulary, monkeypatch):
    monkeypatch.setenv("GLUE_DIR", str(write_raw("RTE").parent))
    monkeypatch.setenv("VOCAB_DIR", str(small_vocabulary))
    run("--task", "RTE", raw=None, vocab=None)
    assert names(out) == ["RTE"]


def sentences(folder, split: str = "train") -> list[list[int]]:
    from fairseq.data.indexed_dataset import MMapIndexedDataset

    data = MMapIndexedDataset(str(folder / "input0" / split))
    return [data[row].tolist() for row in range(len(data))]


@pytest.mark.parametrize("family, name, separators", [
    ("bert", "wordpiece", 1), ("albert", "sentencepiece", 1), ("roberta", "gpt2_bpe", 2),
])
def test_any_familys_vocabulary_will_do(family, name, separators, run, out, write_raw, write_vocabulary, tmp_path,
                                        monkeypatch):
    monkeypatch.setattr(binarize, "UNKNOWN_LIMIT", 1)  # these small vocabularies lack most words
    write_raw("RTE")
    vocabulary = write_vocabulary(family, tmp_path / family)
    run("--task", "RTE", vocab=tmp_path / family)
    record = json.loads((out / "RTE" / "glue.json").read_text())["tokenizer"]
    assert record == vocabulary.record and (record["name"], record["separators"]) == (name, separators)
    for part in ("input0", "input1"):
        lines = (out / "RTE" / part / "dict.txt").read_text().splitlines()
        assert [line.split()[0] for line in lines] == vocabulary.symbols
    expected = vocabulary.encode([f"the cat {row} sentence1" for row in range(3)])
    assert sentences(out / "RTE") == [ids.tolist() for ids in expected]


def test_a_converted_folder_makes_the_data_of_what_it_was_made_of(run, out, write_raw, write_vocabulary, tmp_path):
    write_raw("CoLA")
    (tmp_path / "converted").mkdir()
    write_vocabulary("roberta", tmp_path / "source").save(tmp_path / "converted")
    made = []
    for vocab in ("source", "converted"):
        run("--task", "CoLA", "--overwrite", vocab=tmp_path / vocab)
        made.append({file: (out / "CoLA" / file).read_bytes() for file in (
            "glue.json", "input0/dict.txt", "input0/train.bin", "input0/train.idx")})
    assert made[0] == made[1]
    assert made[0]["input0/dict.txt"] == (tmp_path / "source" / "dict.txt").read_bytes()


def test_detokenizing_undoes_spaced_punctuation_and_nothing_else(run, out, write_raw, small_vocabulary):
    folder = write_raw("CoLA")
    set_row(folder, b"0\t1\t\tThe cat , it 's said , sat ( twice ) on a &amp; b .", line=1)
    run("--task", "CoLA", "--detokenize")
    assert json.loads((out / "CoLA" / "glue.json").read_text())["detokenized"] is True
    natural = Vocabulary(small_vocabulary).encode(["The cat, it's said, sat (twice) on a &amp; b."])[0].tolist()
    assert sentences(out / "CoLA")[0] == natural
    run("--task", "CoLA", "--overwrite")
    assert json.loads((out / "CoLA" / "glue.json").read_text())["detokenized"] is False
    assert sentences(out / "CoLA")[0] != natural


def test_splits_can_be_chosen(run, out, write_raw):
    (write_raw("RTE") / "test.tsv").unlink()
    run("--task", "RTE", "--split", "valid", "--split", "train")
    assert names(out / "RTE" / "input0") == ["dict.txt", "train.bin", "train.idx", "valid.bin", "valid.idx"]


def test_without_raw_data_the_task_is_downloaded(run, out, write_raw, monkeypatch):
    def download(task, raw):
        out.mkdir()
        write_raw("RTE").parent.rename(raw)

    monkeypatch.setattr(data, "download_task", download)
    run("--task", "RTE", raw=None)
    assert names(out) == ["RTE", "raw"]


def test_sizes_other_than_glues_are_said(run, out, write_raw, capsys):
    write_raw("RTE")
    run("--task", "RTE", "--split", "train")
    output = capsys.readouterr()
    assert "RTE train: 3 rows (official: 2490), 0 of 90 tokens unknown" in output.out
    assert "warning: RTE train: 3 rows, but the official file has 2490" in output.err


def test_a_vocabulary_that_knows_hardly_a_word_is_refused(run, out, write_raw, tmp_path):
    """A vocabulary of BERT that is cut to 429 of its 30,522 pieces is such a case."""
    write_raw("RTE")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[unused0]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    assert "RTE/train.tsv: 24 of 30 tokens would be <unk>: give a vocabulary that is whole" in refusal(
        run, out, "--task", "RTE", vocab=tmp_path)


def test_an_empty_sentence_is_kept_and_said(run, out, write_raw, capsys):
    set_row(write_raw("RTE"), b"0\t \tb\tentailment")
    run("--task", "RTE", "--split", "train")
    assert "RTE train: rows kept although a sentence is empty: 1" in capsys.readouterr().err
    assert json.loads((out / "RTE" / "glue.json").read_text())["splits"]["train"]["rows"] == 3


BAD_ROWS = {
    "fields": ("RTE", b"0\ta\tb", "line 2: 3 fields instead of 4 fields"),
    "more fields": ("SST-2", b"0\ta\t1\t2", "line 2: 4 fields instead of 3 fields"),
    "blank line": ("RTE", b"", "line 2: a blank line instead of 4 fields"),
    "label": ("RTE", b"0\ta\tb\tmaybe", "line 2: label 'maybe' is none of entailment, not_entailment"),
    "score": ("STS-B", b"0\ta\tb\t5.5", "line 2: score 5.5 is not at least 0 and at most 5"),
    "no score": ("STS-B", b"0\ta\tb\tlow", "line 2: score 'low' is no number"),
    "bytes": ("RTE", b"0\t\xe9\tb\tentailment", "line 2: byte 0xe9 at position 3 of the line is no UTF-8"),
}


@pytest.mark.parametrize("name, row, words", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_malformed_row_stops_it_with_file_line_and_reason(name, row, words, run, out, write_raw):
    folder = write_raw(name)
    set_row(folder, row)
    message = refusal(run, out, "--task", name)
    assert f"{folder / 'train.tsv'}, {words}. Correct it; palbert data --keep-going" in message


@pytest.mark.parametrize("name, row, words", BAD_ROWS.values(), ids=BAD_ROWS)
def test_keep_going_lists_the_row_beside_the_output(name, row, words, run, out, write_raw, capsys):
    folder = write_raw(name)
    set_row(folder, row)
    run("--task", name, "--keep-going")
    header, rejected = (out / name / "rejected.tsv").read_text().splitlines()
    assert header == "split\tfile\tline\treason\trow"
    reason = words.removeprefix("line 2: ")
    assert rejected == f"train\t{folder / 'train.tsv'}\t2\t{reason}\t{row.decode('utf-8', 'backslashreplace')}"
    split = json.loads((out / name / "glue.json").read_text())["splits"]["train"]
    assert (split["rows"], split["rejected"]) == (2, 1)
    assert f"{name} train: malformed rows left out: 1 (lines 2), see rejected.tsv" in capsys.readouterr().err


def test_rows_of_other_widths_in_qqp_are_dropped_counted_and_named(run, out, write_raw, capsys):
    folder = write_raw("QQP", rows=9)
    for line in range(2, 9):
        set_row(folder, b"0\ta", line=line)
    run("--task", "QQP")
    assert "QQP train: malformed rows left out: 7 (lines 2, 3, 4, 5, 6, ...), see" in capsys.readouterr().err
    assert len((out / "QQP" / "rejected.tsv").read_text().splitlines()) == 8


def test_another_fault_in_qqp_still_stops_it(run, out, write_raw):
    set_row(write_raw("QQP"), b"0\ta\tb\tmaybe")
    assert "label 'maybe'" in refusal(run, out, "--task", "QQP")


BAD_FILES = {
    "empty": (b"", "train.tsv is empty"),
    "header alone": (b"index\tsentence1\tsentence2\tlabel\n", "train.tsv has no usable row"),
    "no column": (b"index\tsentence1\tlabel\n0\ta\tentailment\n", "no column 'sentence2'"),
    "not UTF-8": ("index\tsentence1\n".encode("utf-16"), "train.tsv, line 1: byte 0xff"),
    "no row is good": (b"index\tsentence1\tsentence2\tlabel\n0\ta\n", "train.tsv has no usable row (1 rejected)"),
}


@pytest.mark.parametrize("content, words", BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_without_use_stops_it_even_when_told_to_keep_going(content, words, run, out, write_raw):
    (write_raw("RTE") / "train.tsv").write_bytes(content)
    assert words in refusal(run, out, "--task", "RTE", "--keep-going")


def test_an_empty_file_without_a_header_line_is_refused(run, out, write_raw):
    (write_raw("CoLA") / "dev.tsv").write_bytes(b"")
    assert "dev.tsv has no usable row" in refusal(run, out, "--task", "CoLA")


def test_a_later_fault_keeps_the_tasks_before_it(run, out, write_raw):
    write_raw("RTE")
    (write_raw("CoLA") / "test.tsv").unlink()
    with pytest.raises(UserError, match="CoLA/test.tsv is missing"):
        run("--task", "RTE", "--task", "CoLA")
    assert names(out) == ["RTE"]


@pytest.mark.parametrize("arguments, places, words", [
    (["--task", "SQuAD"], {}, "unknown task 'SQuAD': choose from AX"),
    (["--task", "RTE", "--split", "dev"], {}, "RTE has no split 'dev': choose from train, valid, test"),
    (["--task", "RTE", "--workers", "0"], {}, "--workers 0: at least 1 and at most 1024"),
    (["--task", "RTE"], {"vocab": None}, "no vocabulary named: give --vocab or $VOCAB_DIR"),
    (["--task", "RTE"], {"vocab": "/nonexistent"}, "no vocabulary in /nonexistent"),
    (["--task", "RTE"], {"raw": "/nonexistent"}, "/nonexistent/RTE/train.tsv is missing"),
    (["--task", "Cues"], {"raw": None}, "Cues has no public download"),
])
def test_a_wrong_call_is_one_clear_line(arguments, places, words, run, out):
    assert words in refusal(run, out, *arguments, **places)


@pytest.mark.parametrize("second", ["b.toml", "../raw/a.toml"])
def test_two_task_files_of_one_name_are_refused(run, out, tmp_path, second):
    """The second's data would replace the first's."""
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("a.toml", "b.toml"):
        (raw / name).write_text(TASK_FILE)
    for name in ("train.csv", "valid.csv"):
        (raw / name).write_text(ROWS)
    first, second = str(raw / "a.toml"), str(raw / second)
    assert f"{first} and {second} are both named tickets" in refusal(run, out, first, "--task", second)
    run(first, "--task", first)
    assert names(out) == ["tickets"]


def test_output_that_is_there_is_replaced_only_when_asked(run, out, write_raw):
    folder = write_raw("RTE")
    run("--task", "RTE")
    set_row(folder, b"0\ta\tb\tentailment", line=5)
    assert "RTE exists: give --overwrite" in refusal(run, out, "--task", "RTE")
    run("--task", "RTE", "--overwrite")
    assert json.loads((out / "RTE" / "glue.json").read_text())["splits"]["train"]["rows"] == 4


def test_raw_data_is_never_taken_for_old_output(run, tmp_path, write_raw):
    folder = write_raw("RTE")
    with pytest.raises(UserError, match="was not made here"):
        run("--task", "RTE", "--overwrite", "--out", str(folder.parent))
    assert names(folder) == ["dev.tsv", "test.tsv", "train.tsv"]


def test_out_that_is_a_file_is_refused(run, out, write_raw):
    write_raw("RTE")
    out.write_text("")
    with pytest.raises(UserError, match=f"{out}/.*: cannot be written"):
        run("--task", "RTE")


def test_the_command_itself_ends_with_the_line_and_status_1(tmp_path):
    ended = run_python(["-m", "preprocess.data", "--task", "SQuAD", "--out", tmp_path])
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("fairseq_palbert: error: unknown task 'SQuAD'")
