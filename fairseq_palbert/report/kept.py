"""One small file of a method's runs: all tasks, seeds and splits.

Sizes: N layers, E examples, K outputs (classes, or 1 for regression).

Answers are rounded to half precision. The logits of classes are stored as differences to the first class's. This
changes no rule: argmax and softmax are the same for logits up to a constant. ``rounded`` gives a record as it is read
back; all results of a kept run are computed from that.
"""

import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..analysis.recorded_split import RecordedSplit
from ..errors import UserError
from ..exits.base import Recording
from ..files import replacing
from ..modules.encoder import EncoderShape
from ..modules.pondering import HeadsShape

FORMAT = "fairseq_palbert results 1"
# Stored once for all seeds, in these dtypes; that of targets depends on the task.
SHARED = {"ids": torch.int32, "lengths": torch.int16, "targets": None}
CLOCK = ("exit", "seconds", "batch_size", "device", "dtype")
_PLAIN = ("rows", "labels", "prior", "origin")


@dataclass(frozen=True)
class KeptSplit:
    """A recorded split, and the fields ``CLOCK`` of each scored rule, which the record does not have."""

    recorded: RecordedSplit
    clocks: list[dict]


@dataclass(frozen=True)
class KeptSeed:
    """One model: its training command as typed, and its splits by name."""

    command: str
    splits: dict[str, KeptSplit]


Kept = dict[str, dict[str, KeptSeed]]  # by task and seed


def rounded(recorded: RecordedSplit) -> RecordedSplit:
    """The record as it is read back."""
    return replace(recorded, recording=_unpacked(_packed(recorded.recording)))


def write_kept(path: Path, kept: Kept) -> None:
    """Write all runs of a method.

    Raises UserError where the seeds of a task have different examples or labels of a split, which are stored once.
    """
    tensors, about = {}, {}
    for task, seeds in kept.items():
        about[task] = {}
        for name, seed in seeds.items():
            about[task][name] = {"command": seed.command, "splits": {}}
            for split, kept_split in seed.splits.items():
                recorded = kept_split.recorded
                for shared in SHARED:
                    values, place = getattr(recorded, shared), f"{task}/{split}/{shared}"
                    small = None if values is None else _small(shared, values)
                    if small is not None and not tensors.setdefault(place, small).equal(small):
                        raise UserError(f"{task}, {name}, {split}: other {shared} than an earlier seed: score the same "
                                        "data")
                tensors |= {f"{task}/{split}/{name}/{packed}": values
                            for packed, values in _packed(recorded.recording).items()}
                about[task][name]["splits"][split] = {
                    **{plain: getattr(recorded, plain) for plain in _PLAIN}, "encoder": asdict(recorded.encoder),
                    "heads": asdict(recorded.heads),
                    "clocks": [{key: row[key] for key in CLOCK} for row in kept_split.clocks]}
    text = zlib.compress(json.dumps(about).encode(), 9)
    tensors["about"] = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    with replacing(path) as part:
        save_file(tensors, part, metadata={"format": FORMAT})


def read_kept(path: Path) -> Kept:
    """Read the file. Raises UserError where it is missing, damaged, or not written by ``write_kept``."""
    try:
        with safe_open(path, "pt") as file:
            known = (file.metadata() or {}).get("format") == FORMAT
            tensors = {name: file.get_tensor(name) for name in file.keys()} if known else {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: missing or damaged ({error}): keep the run again with palbert keep") from error
    if not known:
        raise UserError(f"{path}: not of the format {FORMAT!r}: name a file of palbert keep")
    about = json.loads(zlib.decompress(tensors["about"].numpy().tobytes()))
    return {task: {name: KeptSeed(seed["command"], {split: _split(tensors, task, name, split, fields)
                                                    for split, fields in seed["splits"].items()})
                   for name, seed in seeds.items()} for task, seeds in about.items()}


def _split(tensors: dict[str, Tensor], task: str, seed: str, split: str, fields: dict) -> KeptSplit:
    shared = {name: tensors.get(f"{task}/{split}/{name}") for name in SHARED}
    targets = shared["targets"]
    if targets is not None:
        targets = targets.double() if fields["heads"]["outputs"] == 1 else targets.long()
    packed = {name: tensors.get(f"{task}/{split}/{seed}/{name}")
              for name in ("halting_logits", "logits", "error_logits")}
    recorded = RecordedSplit(
        split=split, glue_task=task, **{name: fields[name] for name in _PLAIN},
        encoder=EncoderShape(**fields["encoder"]), heads=HeadsShape(**fields["heads"]), ids=shared["ids"].long(),
        lengths=shared["lengths"].long(), targets=targets, recording=_unpacked(packed))
    return KeptSplit(recorded, fields["clocks"])


def _small(name: str, values: Tensor) -> Tensor:
    if name == "targets":
        return values.to(torch.float32 if values.is_floating_point() else torch.int8)
    return values.to(SHARED[name])


def _packed(recording: Recording) -> dict[str, Tensor]:
    """The tensors as stored. Shape of the logits: [N, E, K] -> [N, E, K − 1], for regression [N, E, 1]."""
    logits = recording.logits
    logits = logits[..., 1:] - logits[..., :1] if logits.shape[-1] > 1 else logits
    tensors = {"halting_logits": recording.halting_logits, "logits": logits, "error_logits": recording.error_logits}
    # a regression's ranks depend on small differences
    exact = logits.shape[-1] == 1 and recording.logits.shape[-1] == 1
    return {name: values.to(torch.float32 if exact and name == "logits" else torch.float16).contiguous()
            for name, values in tensors.items() if values is not None}


def _unpacked(packed: dict[str, Tensor | None]) -> Recording:
    halting, logits, errors = (packed.get(name) for name in ("halting_logits", "logits", "error_logits"))
    of_classes = logits.dtype == torch.float16
    logits = logits.float()
    if of_classes:
        logits = torch.cat([torch.zeros_like(logits[..., :1]), logits], -1)
    return Recording(halting if halting is None else halting.float(), logits,
                     errors if errors is None else errors.float())
