"""Tests of damaged records: every command refuses them in one line and writes nothing."""

import json
import zlib
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.analysis.recorded_split import FORMAT, RecordedSplit, read_record, write_record
from fairseq_palbert.analysis.tensor_file import read_tensors, write_tensors
from fairseq_palbert.definitions.definition import Groups
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.report import kept
from fairseq_palbert.report.runs import read_runs
from tests.fixtures.recorded_runs import EXAMPLES, random_record, write_run

INFINITE = float("inf")


def changed(recorded: RecordedSplit, name: str, index: tuple | int, value: float) -> RecordedSplit:
    """Returns the record with one value of a tensor changed."""
    owner = recorded if name in ("ids", "lengths", "targets") else recorded.recording
    tensor = getattr(owner, name).clone()
    tensor[index] = value
    new = replace(owner, **{name: tensor})
    return new if owner is recorded else replace(recorded, recording=new)


def with_recording(recorded: RecordedSplit, **tensors) -> RecordedSplit:
    return replace(recorded, recording=replace(recorded.recording, **tensors))


DAMAGED = {
    "NaN logits": ("logits has values outside", lambda r: changed(r, "logits", (1, 5, 0), float("nan"))),
    "infinite logits": ("logits has values outside", lambda r: changed(r, "logits", (1, 5, 0), -INFINITE)),
    "larger than float32": ("logits has values outside", lambda r: with_recording(
        r, logits=r.recording.logits.double() * 1e300)),
    "NaN halting": ("halting_logits has values outside", lambda r: changed(r, "halting_logits", (0, 9), float("nan"))),
    "infinite halting": ("halting_logits has values outside", lambda r: changed(r, "halting_logits", (0, 9), INFINITE)),
    "id twice": ("ids are not ascending, each once", lambda r: changed(r, "ids", 5, 4)),
    "other order": ("ids are not ascending, each once", lambda r: replace(r, ids=r.ids.flip(0))),
    "id outside": ("ids has values outside 0 to 59", lambda r: changed(r, "ids", -1, 60)),
    "negative id": ("ids has values outside 0 to 59", lambda r: changed(r, "ids", 0, -1)),
    "fewer rows": ("ids has values outside 0 to 29", lambda r: replace(r, rows=30)),
    "no example": ("ids is torch.int64 .0., and should be torch.int64 .1.", lambda r: replace(r, ids=r.ids[:0])),
    "ids as floats": ("ids is torch.float32", lambda r: replace(r, ids=r.ids.float())),
    "examples missing": ("lengths is torch.int64 .60., and should be torch.int64 .59.",
                         lambda r: replace(r, ids=r.ids[:-1])),
    "no tokens": ("lengths has values outside 1 to 64", lambda r: changed(r, "lengths", 3, 0)),
    "class 2": ("targets has values outside 0 to 1", lambda r: changed(r, "targets", 3, 2)),
    "targets as floats": ("targets is torch.float64", lambda r: replace(r, targets=r.targets.double())),
    "a layer missing": ("logits is .*, and should be", lambda r: with_recording(r, logits=r.recording.logits[1:])),
    "three classes": ("logits is .*, and should be", lambda r: with_recording(
        r, logits=r.recording.logits.repeat(1, 1, 2)[..., :3])),
    "no halting": ("has no halting_logits", lambda r: with_recording(r, halting_logits=None)),
    "unknown halting": ("has halting_logits, and heads without", lambda r: replace(
        r, heads=replace(r.heads, lambda_module="none"))),
    "groups of no task": ("has groups, and a task without them", lambda r: replace(
        r, groups=r.ids.clone())),
    "other depth": ("has a prior of 4 layers, and 5", lambda r: replace(r, encoder=replace(r.encoder, layers=5))),
    "split": ("split is '<b>', and should be a name", lambda r: replace(r, split="<b>")),
    "split is a path": ("split is '../a', and should be a name", lambda r: replace(r, split="../a")),
    "NaN prior": ("NaN is no JSON number", lambda r: replace(r, prior=[float("nan")] * 4)),
    "prior": ("has a prior of 2 layers, and 4", lambda r: replace(r, prior=[0.5, 0.5])),
    "no rows": ("rows is 0, and should be", lambda r: replace(r, rows=0)),
    "command": ("origin.command is 'a', and should be a list",
                lambda r: replace(r, origin={**r.origin, "command": "a"})),
    "device": ("has no origin.device.name", lambda r: replace(r, origin={**r.origin, "device": {"type": "cpu"}})),
    "commit": ("origin.git is", lambda r: replace(r, origin={**r.origin, "git": {"commit": "<b>", "dirty": True}})),
}


@pytest.fixture
def refused(tmp_path):
    """refused(record, reason): every command refuses the record of palbert/SST-2 in one line and writes nothing."""

    def check(path, reason: str) -> None:
        other = tmp_path / "other.safetensors"
        write_record(other, random_record("SST-2", 1, True, "calibration"))
        out = ["--out", str(tmp_path / "out")]
        for read in (lambda: sweep.main([str(path), *out]),
                     lambda: choose_threshold.main([str(path), "--budget", "2", *out]),
                     lambda: choose_threshold.main([str(other), "--calibrate-on", str(path), "--budget", "2", *out]),
                     lambda: read_runs([path.parents[3]], "valid")):
            with pytest.raises(UserError, match=reason) as error:
                read()
            assert str(path) in str(error.value) and not (tmp_path / "out").exists()

    return check


@pytest.fixture
def record(tmp_path):
    run = write_run(tmp_path / "runs", "palbert", "SST-2", "fixed:4", seeds=[1], halts=True)
    return run / "seed1" / "scores" / "valid" / "record.safetensors"


@pytest.mark.parametrize("reason, damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_is_one_line_for_every_command(record, refused, reason, damage):
    write_record(record, damage(read_record(record)))
    refused(record, reason)


IN_GROUPS = replace(packaged_task("SST-2"), name="cloze", positive="1", metrics=("token_f1",), benchmark=None,
                    folder=None, groups=Groups("query", "best", "entity"))
DAMAGED_GROUPS = {
    "none": ("has no groups", {"groups": None}),
    "beyond the rows": ("groups has values outside 0 to 59", {"groups": torch.arange(60) + 1}),
    "as floats": ("groups is torch.float32", {"groups": torch.zeros(60)}),
    "no scores": ("has no text_scores", {"text_scores": None}),
    "above 1": ("text_scores has values outside 0 to 1", {"text_scores": torch.full((60, 2), 2.0)}),
    "one score": ("text_scores is .*60, 1., and should be .*60, 2.", {"text_scores": torch.zeros(60, 1)}),
}


@pytest.mark.parametrize("reason, changes", DAMAGED_GROUPS.values(), ids=DAMAGED_GROUPS)
def test_damaged_groups_are_one_line(record, reason, changes):
    whole = replace(read_record(record), task=IN_GROUPS, groups=torch.arange(60) // 3, text_scores=torch.zeros(60, 2))
    write_record(record, whole)
    assert read_record(record).units == 20
    write_record(record, replace(whole, **changes))
    with pytest.raises(UserError, match=reason):
        read_record(record)


OTHER_TASKS = {
    "as a regression": ("outputs 2 are not those of STS-B, 1", {"glue_task": "STS-B", "labels": []}),
    "as three classes": ("outputs 2 are not those of MNLI, 3",
                         {"glue_task": "MNLI", "labels": ["neutral", "entailment", "contradiction"]}),
    "unknown task": ("the task 'X' is none of the package, and its definition is missing", {"glue_task": "X"}),
    "other labels": ("labels 0, <img src=x> are not those of SST-2", {"labels": ["0", "<img src=x>"]}),
    "label twice": ("labels 0, 0 are not those of SST-2", {"labels": ["0", "0"]}),
    "labels nested": ("nested more than", {"labels": json.loads("[" * 150 + "]" * 150)}),
    "another definition": ("the definition is of the task 'A'", {"definition": {
        "name": "A", "sentences": ["s"], "label": "l", "labels": ["0", "1"], "metric": "f1", "positive": "1",
        "splits": {"train": "a.csv"}}}),
    "no definition": ("name is missing", {"glue_task": "X", "definition": {}}),
}


@pytest.mark.parametrize("reason, fields", OTHER_TASKS.values(), ids=OTHER_TASKS)
def test_a_task_that_is_not_the_records_is_one_line(record, refused, reason, fields):
    metadata, tensors = read_tensors(record, FORMAT, "")
    write_tensors(record, {"format": FORMAT, "about": json.dumps(json.loads(metadata["about"]) | fields)}, tensors)
    refused(record, reason)


@pytest.mark.parametrize("reason, about", [
    ("not JSON", "{"), ("not JSON", ""), ("is no JSON object", "[]"), ("the fields None are of no EncoderShape", "{}"),
    ("the fields .* are of no EncoderShape", '{"encoder": {"a": 1}}'), ("nested more than", '{"a": ' + "[" * 10**5),
])
def test_a_description_that_is_none_is_one_line(record, refused, reason, about):
    save_file({"ids": torch.arange(3)}, record, metadata={"format": FORMAT, "about": about})
    refused(record, reason)


def test_another_file_is_one_line(record, refused, tmp_path):
    for content, reason in ((b"", "truncated"), (b"nothing", "truncated"), (bytes(10**5), "truncated"),
                            (record.read_bytes()[:-1], "truncated")):
        record.write_bytes(content)
        refused(record, reason)
    record.unlink()
    record.mkdir()
    with pytest.raises(UserError, match="is no regular file"):
        read_record(record)


def test_one_changed_number_is_noticed(record, refused):
    content = bytearray(record.read_bytes())
    content[-100] ^= 1
    record.write_bytes(content)
    refused(record, "damaged, or changed after it was written")


def test_a_large_file_is_not_read(record, refused):
    with open(record, "wb") as file:
        file.truncate(2**30 + 1)  # a sparse file
    refused(record, "has more than 1,073,741,824 bytes")


KEPT = {
    "no fields": ("has no fields", lambda tensors: tensors.pop("about")),
    "other dtype": ("has no fields", lambda tensors: tensors.update(about=torch.zeros(3))),
    "no zlib": ("do not unpack", lambda tensors: tensors.update(about=torch.zeros(9, dtype=torch.uint8))),
    "cut": ("are cut, or have more", lambda tensors: tensors.update(about=tensors["about"][:-9].clone())),
    "large": ("are cut, or have more", lambda tensors: tensors.update(about=packed(b" " * 10**8))),
    "no JSON": ("not JSON", lambda tensors: tensors.update(about=packed(b"["))),
    "a list": ("SST-2 is 1, and should be an object", lambda tensors: tensors.update(about=packed(b'{"SST-2": 1}'))),
    "seed": ("has no SST-2.a.command", lambda tensors: tensors.update(about=packed(b'{"SST-2": {"a": {}}}'))),
    "NaN": ("logits has values outside", lambda tensors: tensors.update(
        {"SST-2/valid/seed1/logits": packed(bytes([16, 3]) + torch.tensor([4, EXAMPLES, 1]).int().numpy().tobytes()
                                            + 4 * EXAMPLES * b"\x00" + 4 * EXAMPLES * b"\x7e")})),
    "NaN of an earlier version": ("logits has values outside", lambda tensors: tensors.update(
        {"SST-2/valid/seed1/logits": torch.full((4, EXAMPLES, 1), torch.nan).half()})),
    "dtype": ("ids is torch.float32", lambda tensors: tensors.update({"SST-2/valid/ids": torch.zeros(EXAMPLES)})),
    "ids no zlib": ("its ids do not unpack", lambda tensors: tensors["SST-2/valid/ids"].zero_()),
    "ids of no type": ("its ids are of no known type", lambda tensors: tensors.update(
        {"SST-2/valid/ids": packed(b"\x01" + bytes(4 * EXAMPLES))})),
    "no ids": ("its ids are of no known type", lambda tensors: tensors.update({"SST-2/valid/ids": packed(b"")})),
    "cut ids": ("its ids are cut", lambda tensors: tensors.update(
        {"SST-2/valid/ids": packed(bytes(4 * EXAMPLES))})),
    "fewer ids": ("lengths is .*, and should be", lambda tensors: tensors.update(
        {"SST-2/valid/ids": packed(bytes(4 * EXAMPLES - 3))})),
    "no logits": ("has no logits", lambda tensors: tensors.pop("SST-2/valid/seed1/logits")),
    "scalar": ("logits is .*, and should be", lambda tensors: tensors.update(
        {"SST-2/valid/seed1/logits": torch.tensor(1.0).half()})),
}


def packed(text: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(zlib.compress(text)), dtype=torch.uint8)


@pytest.mark.parametrize("reason, damage", KEPT.values(), ids=KEPT)
def test_a_damaged_file_of_palbert_keep_is_one_line(tmp_path, reason, damage):
    recorded, path = random_record("SST-2", 1, True), tmp_path / "palbert.safetensors"
    clocks = [{"exit": "fixed:4", "seconds": 1.0, "batch_size": None, "device": "cpu", "dtype": "float32"}]
    seed = kept.KeptSeed("fairseq-train", {"valid": kept.KeptSplit(recorded, clocks)})
    kept.write_kept(path, {"SST-2": {"seed1": seed}})
    _, tensors = kept.read_tensors(path, kept.FORMAT, "")
    damage(tensors)
    save_file(tensors, path, metadata={"format": kept.FORMAT})  # as earlier versions wrote it, without a digest
    with pytest.raises(UserError, match=reason) as error:
        read_runs([path], "valid")
    assert str(path) in str(error.value)
