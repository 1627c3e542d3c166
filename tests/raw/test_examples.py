"""Tests of reading raw examples: rows, labels, scores and rejected rows."""

import pytest

from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.raw.examples import Example, Rejected, read_examples

MSR_HEADER = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"


def examples(name: str, split: str, raw) -> list[Example | Rejected]:
    task = packaged_task(name)
    return list(read_examples(task, task.split(split), raw))


@pytest.mark.parametrize("name", benchmark_tasks("GLUE"))
def test_every_split_of_every_task_is_read_from_its_own_columns(name, write_raw):
    raw = write_raw(name, rows=4).parent
    task = packaged_task(name)
    for split in task.splits:
        rows = examples(name, split.name, raw)
        sentences = [tuple(f"the cat {i} {column}" for column in task.sentences) for i in range(4)]
        assert [row.sentences for row in rows] == sentences
        if not split.labelled:
            assert {row.label for row in rows} == {None}
        elif task.regression:
            assert [float(row.label) for row in rows] == [0.25, 1.25, 2.25, 3.25]
        else:
            assert [row.label for row in rows] == [task.labels[i % len(task.labels)] for i in range(4)]


def replace_row(folder, row: str, file: str = "train.tsv", line: int = 2) -> None:
    lines = (folder / file).read_text().splitlines()
    lines[line - 1] = row
    (folder / file).write_text("\r\n".join(lines) + "\r\n", newline="")


@pytest.mark.parametrize("name, row, reason", [
    ("RTE", "0\ta\tb\tmaybe", "label 'maybe' is none of entailment, not_entailment"),
    ("RTE", "0\ta\tb\t", "the label is empty"),
    ("MNLI", "0\ta\tb\t-", "label '-' is none of entailment, neutral, contradiction"),
    ("SST-2", "0\ta\t2", "label '2' is none of 0, 1"),
    ("STS-B", "0\ta\tb\t5.001", "score 5.001 is not at least 0 and at most 5"),
    ("STS-B", "0\ta\tb\t-0.1", "score -0.1 is not at least 0 and at most 5"),
    ("STS-B", "0\ta\tb\tnan", "score 'nan' is no number"),
    ("STS-B", "0\ta\tb\thigh", "score 'high' is no number"),
    *(("STS-B", f"0\ta\tb\t{score}", f"score {score!r} is no number")
      for score in ("0_3", " 2.5", "３.5", "٣", "+2.5", "2.5\r")),
    ("CoLA", "gj04\t1\tsentence", "3 fields instead of 4 fields"),
    ("QQP", "0\ta\tb", "3 fields instead of 4 fields"),
])
def test_a_row_that_is_no_example_is_named(name, row, reason, write_raw):
    folder = write_raw(name)
    replace_row(folder, row)
    good, *others = sorted(examples(name, "train", folder.parent), key=lambda found: isinstance(found, Rejected))
    assert isinstance(good, Example)
    assert others[-1] == Rejected(str(folder / "train.tsv"), 2, reason, row, released=name == "QQP")


def test_of_qqp_rows_of_other_widths_alone_are_known_to_the_release(write_raw):
    folder = write_raw("QQP")
    replace_row(folder, "0\ta\tb\tmaybe")
    replace_row(folder, "0\ta", "test.tsv")
    for split in ("train", "test"):
        (rejected,) = [row for row in examples("QQP", split, folder.parent) if isinstance(row, Rejected)]
        assert not rejected.released


@pytest.fixture
def msr(tmp_path):
    """Writes MRPC as the MSR originals, with three training rows, the second one for dev; returns its folder."""
    folder = tmp_path / "MRPC"
    folder.mkdir()
    rows = [f"{i % 2}\t1{i}\t2{i}\tfirst {i}\tsecond {i}\r\n" for i in range(3)]
    (folder / "msr_paraphrase_train.txt").write_text(MSR_HEADER + "".join(rows), newline="")
    (folder / "msr_paraphrase_test.txt").write_text(MSR_HEADER + rows[2], newline="")
    (folder / "mrpc_dev_ids.tsv").write_text("11\t21\n")
    return folder


def test_the_msr_originals_are_split_by_the_dev_ids(msr):
    first, second, third = (Example((f"first {i}", f"second {i}"), str(i % 2)) for i in range(3))
    assert examples("MRPC", "train", msr.parent) == [first, third]
    assert examples("MRPC", "valid", msr.parent) == [second]
    assert examples("MRPC", "test", msr.parent) == [Example(third.sentences, None)]


def test_the_dev_ids_may_have_the_name_of_glues_own_script(msr):
    (msr / "mrpc_dev_ids.tsv").rename(msr / "dev_ids.tsv")
    assert len(examples("MRPC", "valid", msr.parent)) == 1


def test_msr_originals_without_dev_ids_are_refused(msr):
    (msr / "mrpc_dev_ids.tsv").unlink()
    with pytest.raises(UserError, match="mrpc_dev_ids.tsv is missing"):
        examples("MRPC", "train", msr.parent)


def test_malformed_dev_ids_are_refused(msr):
    (msr / "mrpc_dev_ids.tsv").write_text("11\t21\n12 22\n")
    with pytest.raises(UserError, match="mrpc_dev_ids.tsv, line 2: 1 field instead of 2 fields"):
        examples("MRPC", "valid", msr.parent)


@pytest.mark.parametrize("content, words", [
    ("", "is empty"), ("21\t11\n", "msr_paraphrase_train.txt has no row of the ids 21 and 11"),
    ("#1 ID\t#2 ID\n11\t21\n", "line 1: a header line among the rows"), ("11\t20\n", "of the ids 11 and 20"),
])
def test_a_list_of_dev_ids_that_is_another_files_is_refused(msr, content, words):
    (msr / "mrpc_dev_ids.tsv").write_text(content)
    for split in ("train", "valid"):
        with pytest.raises(UserError, match=f"mrpc_dev_ids.tsv.*{words}: .*preprocess.download --task MRPC"):
            examples("MRPC", split, msr.parent)


def test_a_cut_list_of_dev_ids_is_refused(msr):
    """Rows of dev that the list lacks would be trained on."""
    rows = "".join(f"1\t{i}\t{i}\ta\tb\n" for i in range(4076))
    (msr / "msr_paraphrase_train.txt").write_text(MSR_HEADER + rows)
    (msr / "mrpc_dev_ids.tsv").write_text("".join(f"{i}\t{i}\n" for i in range(407)))
    with pytest.raises(UserError, match="mrpc_dev_ids.tsv names 407 rows, and GLUE's dev has 408"):
        examples("MRPC", "train", msr.parent)


@pytest.mark.parametrize("line", [2, 3])  # a row of train, a row of dev
def test_a_malformed_msr_row_is_named_once(msr, line):
    replace_row(msr, "1\t10", "msr_paraphrase_train.txt", line)
    for split, count in (("train", 1), ("valid", 0)):
        assert sum(isinstance(row, Rejected) for row in examples("MRPC", split, msr.parent)) == count


def test_the_released_mrpc_equals_the_msr_originals_it_was_made_of(glue_dir, tmp_path):
    """Train and dev, merged into one MSR file with CRLF and a byte order mark, give the same rows again."""
    released = glue_dir("MRPC")
    folder = tmp_path / "MRPC"
    folder.mkdir()
    train, dev = ((released / file).read_text(encoding="utf-8").split("\n")[1:-1] for file in ("train.tsv", "dev.tsv"))
    merged = sorted((i / len(rows), row) for rows in (train, dev) for i, row in enumerate(rows))
    text = MSR_HEADER + "".join(row + "\r\n" for _, row in merged)
    (folder / "msr_paraphrase_train.txt").write_text(text, newline="")
    (folder / "dev_ids.tsv").write_text("".join("\t".join(row.split("\t")[1:3]) + "\n" for row in dev))
    for split in ("train", "valid"):
        assert examples("MRPC", split, tmp_path) == examples("MRPC", split, released.parent)


def test_ax_is_found_where_glues_own_script_saves_it(write_raw):
    folder = write_raw("AX")
    (folder.parent / "diagnostic").mkdir()
    (folder / "AX.tsv").rename(folder.parent / "diagnostic" / "diagnostic.tsv")
    assert len(examples("AX", "test", folder.parent)) == 3


def test_a_missing_split_is_named_with_what_to_do(write_raw):
    folder = write_raw("RTE")
    (folder / "test.tsv").unlink()
    with pytest.raises(UserError, match="RTE/test.tsv is missing: .*preprocess.download --task RTE"):
        examples("RTE", "test", folder.parent)
