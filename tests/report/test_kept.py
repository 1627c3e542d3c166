"""Tests of a method's runs in one file: reading, and harmless rounding."""

import zlib
from dataclasses import replace

import pytest
import torch

from fairseq_palbert.analysis.recorded_split import RecordedSplit, write_record
from fairseq_palbert.analysis.sweep import decisions
from fairseq_palbert.analysis.tensor_file import read_tensors, write_tensors
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape
from fairseq_palbert.report.kept import FORMAT, KeptSeed, KeptSplit, read_kept, rounded, write_kept
from tests.fixtures.recorded_runs import ORIGIN

LAYERS, EXAMPLES = 4, 300
CLOCK = {"exit": "q_exit:0.5", "seconds": 1.5, "batch_size": 32, "device": "cpu", "dtype": "float32"}


def record_of(task: str, seed: int, split: str = "valid") -> RecordedSplit:
    noise = torch.Generator().manual_seed(seed)
    regression, outputs = packaged_task(task).regression, packaged_task(task).outputs
    targets = torch.arange(EXAMPLES).double() % 3 * 1.7 if regression else torch.arange(EXAMPLES) % outputs
    return RecordedSplit(
        split=split, task=packaged_task(task), rows=900,
        encoder=EncoderShape(9, 1, 2, 16, LAYERS, 4, 8, 1),
        heads=HeadsShape(outputs), prior=[0.4, 0.3, 0.2, 0.1], origin=ORIGIN,
        ids=torch.arange(EXAMPLES) * 3, lengths=torch.full((EXAMPLES,), 5),
        targets=targets, recording=Recording(
            torch.randn(LAYERS - 1, EXAMPLES, generator=noise),
            3 * torch.randn(LAYERS, EXAMPLES, outputs, generator=noise)))


def kept_of(*records: RecordedSplit) -> KeptSeed:
    return KeptSeed("fairseq-train $DATA --seed 1",
                    {one.split: KeptSplit(one, [{**CLOCK, "mean_exit": 3}]) for one in records})


@pytest.mark.parametrize("task", ["SST-2", "MNLI", "STS-B"])
def test_what_is_read_is_what_was_rounded(tmp_path, task):
    path = tmp_path / "palbert.safetensors"
    records = {(seed, split): record_of(task, seed, split) for seed in (1, 2) for split in ("valid", "calibration")}
    write_kept(path, {task: {f"seed{seed}": kept_of(records[seed, "valid"], records[seed, "calibration"])
                             for seed in (1, 2)}})
    for name, seed in read_kept(path)[task].items():
        assert seed.command == "fairseq-train $DATA --seed 1"
        for split, one in seed.splits.items():
            given, found = records[int(name[-1]), split], one.recorded
            assert one.clocks == [CLOCK]
            again = rounded(given)
            assert all(getattr(found, plain) == getattr(given, plain)
                       for plain in ("split", "task", "rows", "prior", "origin", "encoder", "heads"))
            assert all(getattr(found, shared).equal(getattr(given, shared))
                       for shared in ("ids", "lengths", "targets"))
            assert found.recording.logits.equal(again.recording.logits)
            assert found.recording.halting_logits.equal(again.recording.halting_logits)


@pytest.mark.parametrize("task", ["SST-2", "MNLI", "STS-B"])
def test_rounding_moves_next_to_no_example(task):
    recorded = record_of(task, 3)
    regression = packaged_task(task).regression
    for spec in ("q_exit:0.5", "fixed:4",
                 *(["patience:1:0.5"] if regression else ["entropy:0.4", "confidence:0.8", "patience:1"])):
        before, after = (decisions(one, parse_rule(spec)) for one in (recorded, rounded(recorded)))
        assert (before.exit_layers != after.exit_layers).sum() <= 1, spec
        if regression:
            assert after.outputs.sub(before.outputs)[before.exit_layers == after.exit_layers].abs().max() == 0
        else:
            assert (before.outputs.argmax(-1) != after.outputs.argmax(-1)).sum() <= 1
            assert before.outputs.softmax(-1).sub(after.outputs.softmax(-1)).abs()[before.exit_layers
                                                                                   == after.exit_layers].max() < 2e-3


def test_three_seeds_take_less_than_a_third_of_their_records(tmp_path):
    seeds = {f"seed{seed}": record_of("SST-2", seed) for seed in (1, 2, 3)}
    write_kept(tmp_path / "kept", {"SST-2": {name: kept_of(one) for name, one in seeds.items()}})
    for name, one in seeds.items():
        write_record(tmp_path / name, one)
    assert (tmp_path / "kept").stat().st_size < sum((tmp_path / name).stat().st_size for name in seeds) / 3


@pytest.mark.parametrize("task", ["SST-2", "STS-B"])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_of_an_earlier_version_is_read(tmp_path, task, compressed):
    """At first nothing was compressed; then ids, lengths and targets were, each as the dtype's place and the values."""
    path, recorded = tmp_path / "palbert.safetensors", record_of(task, 1)
    write_kept(path, {task: {"seed1": kept_of(recorded)}})
    before = read_kept(path)[task]["seed1"].splits["valid"].recorded
    _, tensors = read_tensors(path, FORMAT, "")
    place, targets = (2, recorded.targets.float()) if task == "STS-B" else (1, recorded.targets.char())
    shared = {"ids": (0, recorded.ids.int()), "lengths": (0, recorded.lengths.short()), "targets": (place, targets)}
    logits = before.recording.logits if task == "STS-B" else before.recording.logits[..., 1:].half()
    answers = {"logits": logits, "halting_logits": recorded.recording.halting_logits.half()}
    earlier = {f"{task}/valid/{name}": torch.frombuffer(bytearray(zlib.compress(
        bytes([number]) + values.numpy().tobytes())), dtype=torch.uint8) if compressed else values
        for name, (number, values) in shared.items()}
    write_tensors(path, {"format": FORMAT}, tensors | earlier | {
        f"{task}/valid/seed1/{name}": values for name, values in answers.items()})
    after = read_kept(path)[task]["seed1"].splits["valid"].recorded
    assert all(getattr(after, name).float().equal(getattr(before, name).float()) for name in shared)
    assert after.recording.logits.equal(before.recording.logits)
    assert after.recording.halting_logits.equal(before.recording.halting_logits)


def test_a_file_is_compressed(tmp_path):
    """Of the answers, the bytes of sign and exponent lie together: those of numbers of equal size take no room."""
    path, recorded = tmp_path / "palbert.safetensors", record_of("SST-2", 1)
    recorded.recording.halting_logits.div_(8).add_(12)
    write_kept(path, {"SST-2": {"seed1": kept_of(recorded)}})
    _, tensors = read_tensors(path, FORMAT, "")
    assert sum(len(tensors[f"SST-2/valid/{shared}"]) for shared in ("ids", "lengths", "targets")) < 3 * EXAMPLES
    in_order = len(zlib.compress(recorded.recording.halting_logits.half().numpy().tobytes(), 9))
    assert len(tensors["SST-2/valid/seed1/halting_logits"]) < 0.95 * in_order


@pytest.mark.parametrize("name", ["ids", "lengths", "targets", "seed1/logits", "seed1/halting_logits"])
def test_compressed_values_that_are_damaged_are_one_line(tmp_path, name):
    path, place = tmp_path / "palbert.safetensors", f"SST-2/valid/{name}"
    write_kept(path, {"SST-2": {"seed1": kept_of(record_of("SST-2", 1))}})
    _, tensors = read_tensors(path, FORMAT, "")
    content = zlib.decompress(tensors[place].numpy().tobytes())
    header = 2 + 4 * content[1]
    damaged = [content[:end] for end in (*range(header), len(content) - 1)] + [content + b"0"]
    damaged += [content[:at] + bytes([255]) + content[at + 1:] for at in range(header)]
    for one in damaged:
        write_tensors(path, {"format": FORMAT}, tensors | {
            place: torch.frombuffer(bytearray(zlib.compress(one)), dtype=torch.uint8)})
        with pytest.raises(UserError, match=f"its .*{name.split('/')[-1]} (are cut|are of no known type)"):
            read_kept(path)


def test_mistakes_are_one_line(tmp_path):
    path = tmp_path / "palbert.safetensors"
    other = replace(record_of("SST-2", 2), ids=torch.arange(EXAMPLES))
    with pytest.raises(UserError, match="SST-2, seed2, valid: other ids than an earlier seed"):
        write_kept(path, {"SST-2": {"seed1": kept_of(record_of("SST-2", 1)), "seed2": kept_of(other)}})
    with pytest.raises(UserError, match="No such file"):
        read_kept(path)
    path.write_text("nothing")
    with pytest.raises(UserError, match="truncated, or no safetensors"):
        read_kept(path)
    write_record(path, record_of("SST-2", 1))
    with pytest.raises(UserError, match="not of the format 'fairseq_palbert results 1'"):
        read_kept(path)
