"""One small file of a method's runs: all tasks, seeds and splits.

Sizes: N layers, E examples, K outputs (classes, or 1 for regression).

Answers are rounded to half precision. The logits of classes are stored as differences to the first class's. This
changes no rule: argmax and softmax are the same for logits up to a constant. ``rounded`` gives a record as it is read
back; all results of a kept run are computed from that.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..analysis.recorded_split import RECORDED, TENSORS, RecordedSplit, checked_split, plain_fields
from ..analysis.tensor_file import read_tensors, write_tensors
from ..command_file import LONGEST, parse_command
from ..errors import UserError
from ..exits.base import Recording
from ..files import replacing
from ..json_files import Object, parse_object
from ..schema import Kind, check_fields, list_of, object_of, text
from ..scores_file import CLOCK_KINDS

FORMAT = "fairseq_palbert results 1"
REMEDY = "name a file of palbert keep, or keep the run again"
# The dtypes of the stored tensors: the first is written, of a regression the last, and others are of earlier versions.
# ``TENSORS`` are stored once for all seeds.
STORED = {"ids": (torch.int32,), "lengths": (torch.int16,),
          "targets": (torch.int16, torch.int8, torch.float32, torch.float64),
          "groups": (torch.int32,), "text_scores": (torch.float64,),
          "halting_logits": (torch.float16,), "logits": (torch.float16, torch.float32),
          "error_logits": (torch.float16,)}
SHAPED = 16  # added to the dtype's place where sizes follow; in earlier versions the values, of one size, did
HALF = torch.finfo(torch.float16).max
MOST_UNPACKED = 2**26  # bytes
OBJECTS = Kind("an object of objects",
               lambda value: isinstance(value, dict) and all(isinstance(of_key, dict) for of_key in value.values()))
CLOCKS = list_of(object_of(CLOCK_KINDS), 1, 10_000)


@dataclass(frozen=True)
class KeptSplit:
    """A recorded split, and the fields ``CLOCK_KINDS`` of each scored rule, which the record does not have."""

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
    stored = _packed(recorded.recording)
    return replace(recorded, recording=Recording(**_unpacked({name: stored.get(name) for name in RECORDED})))


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
                for shared in TENSORS:
                    if (values := getattr(recorded, shared)) is None:
                        continue
                    small = _compressed_values(shared, values.to(STORED[shared][-values.is_floating_point()]))
                    if not tensors.setdefault(f"{task}/{split}/{shared}", small).equal(small):
                        raise UserError(f"{task}, {name}, {split}: other {shared} than an earlier seed: score the same "
                                        "data")
                tensors |= {f"{task}/{split}/{name}/{packed}": _compressed_values(packed, values)
                            for packed, values in _packed(recorded.recording).items()}
                about[task][name]["splits"][split] = {
                    **_plain(recorded), "encoder": asdict(recorded.encoder),
                    "heads": asdict(recorded.heads),
                    "clocks": [{key: row[key] for key in CLOCK_KINDS} for row in kept_split.clocks]}
    tensors["about"] = _compressed(json.dumps(about).encode())
    with replacing(path) as part:
        write_tensors(part, {"format": FORMAT}, tensors)


def _plain(recorded: RecordedSplit) -> dict[str, Any]:
    """The fields that are stored: name and split are keys, and a task of the package has no definition."""
    return {name: value for name, value in plain_fields(recorded).items()
            if name not in ("glue_task", "split") and (name, value) != ("definition", None)}


def read_kept(path: Path) -> Kept:
    """Read the file. Raises UserError where it is missing, damaged, contradicts itself, or is not of ``write_kept``."""
    _, tensors = read_tensors(path, FORMAT, REMEDY)
    try:
        about = parse_object(_decompressed(tensors.get("about"), "fields").decode())
        check_fields(about, dict.fromkeys(about, OBJECTS))
        return {task: {name: _seed(tensors, task, name, seed) for name, seed in seeds.items()}
                for task, seeds in about.items()}
    except ValueError as error:
        raise UserError(f"{path}: {error}: {REMEDY}") from error


def _compressed(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(zlib.compress(content, 9)), dtype=torch.uint8)


def _decompressed(packed: Tensor | None, what: str) -> bytes:
    """The content of ``_compressed``. Raises ValueError, whose message is a phrase."""
    if packed is None or packed.dtype != torch.uint8:
        raise ValueError(f"has no {what}")
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(packed.numpy().tobytes(), MOST_UNPACKED)
    except zlib.error as error:
        raise ValueError(f"its {what} do not unpack ({error})") from error
    if not unpacking.eof:
        raise ValueError(f"its {what} are cut, or have more than {MOST_UNPACKED:,} bytes")
    return content


def _compressed_values(name: str, values: Tensor) -> Tensor:
    """As stored: the dtype, the sizes, the first bytes of all values, then the second, and so on. uint8 [any]."""
    header = bytes([SHAPED + STORED[name].index(values.dtype), values.dim()])
    planes = values.reshape(-1, 1).view(torch.uint8).T.contiguous()
    return _compressed(header + np.array(values.shape, np.uint32).tobytes() + planes.numpy().tobytes())


def _decompressed_values(name: str, stored: Tensor | None) -> Tensor | None:
    """What ``_compressed_values`` was given, or an earlier version stored. Raises ValueError as ``_decompressed``."""
    if stored is None or stored.dtype != torch.uint8:
        return stored
    content = np.frombuffer(_decompressed(stored, name), np.uint8)
    shaped, place = divmod(int(content[0]), SHAPED) if len(content) > 1 else (0, SHAPED)
    if shaped > 1 or place >= len(STORED[name]):
        raise ValueError(f"its {name} are of no known type")
    dtype, start = STORED[name][place], 2 + 4 * int(content[1]) if shaped else 1
    try:
        planes = (content[start:].reshape(dtype.itemsize, *content[2:start].view(np.uint32)) if shaped
                  else content[start:].reshape(-1, dtype.itemsize).T)
    except ValueError as error:
        raise ValueError(f"its {name} are cut") from error
    return torch.from_numpy(np.moveaxis(planes, 0, -1).copy()).view(dtype).squeeze(-1)


def _seed(tensors: Mapping[str, Tensor], task: str, name: str, seed: Object) -> KeptSeed:
    check_fields(seed, {"command": text(LONGEST), "splits": OBJECTS}, f"{task}.{name}.")
    parse_command(seed["command"])
    return KeptSeed(seed["command"], {split: _split(tensors, task, name, split, fields)
                                      for split, fields in seed["splits"].items()})


def _split(tensors: Mapping[str, Tensor], task: str, seed: str, split: str, fields: Object) -> KeptSplit:
    clocks = {"clocks": fields.pop("clocks", None)}
    check_fields(clocks, {"clocks": CLOCKS}, f"{task}.{seed}.{split}.")
    places = dict.fromkeys(TENSORS, f"{task}/{split}") | dict.fromkeys(RECORDED, f"{task}/{split}/{seed}")
    stored = {name: _decompressed_values(name, tensors.get(f"{place}/{name}")) for name, place in places.items()}
    return KeptSplit(checked_split({"split": split, "glue_task": task, **fields}, _unpacked(stored)), **clocks)


def _packed(recording: Recording) -> dict[str, Tensor]:
    """The tensors as stored. Shape of the logits: [N, E, K] -> [N, E, K − 1], for regression [N, E, 1]."""
    logits = recording.logits
    classes = logits.shape[-1] > 1
    logits = logits[..., 1:] - logits[..., :1] if classes else logits
    tensors = {**vars(recording), "logits": logits}
    return {name: (values.clamp(-HALF, HALF).half() if classes or name != "logits"
                   else values.float()).contiguous()  # a regression's ranks depend on small differences
            for name, values in tensors.items() if values is not None}


def _unpacked(stored: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
    """The tensors as a record has them. Raises ValueError, whose message is a phrase, for another dtype."""
    tensors: dict[str, Any] = {}
    for name, values in stored.items():
        if values is not None and values.dtype not in STORED[name]:
            raise ValueError(f"{name} is {values.dtype}, and should be {STORED[name][0]}")
        exact = torch.float64 if name in TENSORS else torch.float32
        tensors[name] = None if values is None else values.to(exact if values.is_floating_point() else torch.int64)
    if (logits := stored.get("logits")) is not None and logits.dtype == torch.float16 and logits.dim():
        tensors["logits"] = torch.cat([torch.zeros_like(tensors["logits"][..., :1]), tensors["logits"]], -1)
    return tensors
