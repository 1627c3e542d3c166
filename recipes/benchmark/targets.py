"""Ratios of median times, each beside its target."""

from dataclasses import asdict, dataclass

from .variants import packed_name, pooling_name


@dataclass(frozen=True)
class Target:
    """``value`` has to be at least ``bound``, or at most where ``most``.

    A ``goal`` is aimed at, not promised.
    """

    name: str
    value: float
    bound: float
    most: bool = False
    goal: bool = False

    @property
    def met(self) -> bool:
        return self.value <= self.bound if self.most else self.value >= self.bound


def targets(measured: dict) -> list[dict]:
    """The targets for the measurements of ``run``; a variant that was not run has none."""
    seconds, ratio = measured["median_seconds"], measured["padding_ratio"]
    full, early = seconds["g: full depth, packed"], seconds["g: exiting, packed"]
    alone = seconds["g: full depth, batch 1"]
    fewer = measured["operations"]["full"] / measured["operations"]["exiting"]
    r, r_sorted = ratio["file order"], ratio["by length"]
    listed = [
        Target("full depth over (b) by length, r_s times", seconds["b: transformers, by length"] / full / r_sorted,
               0.98),
        Target("full depth, part of the peak", measured["operations"]["full"] / full / measured["peak_flops"], 0.85),
        Target("exiting packed, speed-up by the clock over that in operations", full / early / fewer, 0.97),
        Target("exiting at batch 1, the same", alone / seconds["g: exiting, batch 1"] / fewer, 0.95),
        Target("exiting packed over (c)", seconds["c: one at a time"] / early, 1.35),
        Target("exiting packed over (d), r times", seconds["d: padded, waiting, file order"] / early / r, 1.8),
        Target("exiting packed over (e)", seconds["e: padded, dropping, by length"] / early, 1.25),
    ]
    if "a: fairseq, file order" in seconds:
        listed.insert(0, Target("full depth over (a), r times", seconds["a: fairseq, file order"] / full / r, 1.02))
    if "f: ONNX Runtime, by length" in seconds:
        listed.append(Target("full depth over (f)", seconds["f: ONNX Runtime, by length"] / full, 1, goal=True))
    for how in ("full depth", "exiting"):
        if pooling_name(how, "mean") in seconds:
            by_mean, by_first = (seconds[pooling_name(how, pooling)] for pooling in ("mean", "first"))
            listed.append(Target(f"mean pooling, time over first-token pooling's, {how}, packed", by_mean / by_first,
                                 1.02, most=True))
    for dtype, bound in (("bfloat16", 2.2), ("int8", 1.3)):
        if packed_name(dtype) in seconds:
            listed.append(Target(f"{dtype} over float32, packed", full / seconds[packed_name(dtype)], bound,
                                 goal=dtype == "int8"))
    if "heads" in measured:
        heads = measured["heads"]
        listed += [
            Target("heads packed, part of the time over part of the operations",
                   heads["part_of_seconds_packed"] / heads["part_of_operations"], 1.15, most=True),
            Target("heads at batch 1, time over that to read their weights",
                   heads["seconds_a_layer_at_batch_1"] / heads["seconds_to_read_their_weights"], 1.3, most=True,
                   goal=True),
        ]
    return [{**asdict(target), "met": target.met} for target in listed]
