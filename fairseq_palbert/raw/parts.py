"""Take validation and test splits out of train, by a seeded shuffle."""

from collections.abc import Sequence

import numpy as np

from ..definitions.definition import Split, TaskDefinition

SHUFFLE_SEED = 0  # not a setting: all data made of the same file has the same splits


def parts(task: TaskDefinition, strata: Sequence[str], groups: Sequence[str] = ()) -> list[str]:
    """The split of each example of the file of train.

    A split of fraction f gets round(f n) of n examples: of each of ``strata``, the examples' labels, the same part, up
    to one example, and never the last one of a label. A regression has one stratum. Examples with the same of
    ``groups``, if given, stay together, and are not stratified.
    """
    split_of = np.full(len(strata), "train", dtype=object)
    random = np.random.RandomState(SHUFFLE_SEED)
    units = _numbered(groups) if len(groups) else np.arange(len(strata))
    count = units.max() + 1 if len(units) else 0
    kinds = np.zeros(count, dtype=int) if len(groups) or task.regression else _numbered(strata)
    order = random.permutation(count)
    by_kind = [list(order[kinds[order] == kind]) for kind in range(kinds.max() + 1)] if count else []
    sizes = np.array([len(of_kind) for of_kind in by_kind])
    for split in fractional(task):
        for of_kind, quota in zip(by_kind, _quotas(split.fraction, sizes, [len(of_kind) - 1 for of_kind in by_kind])):
            taken = [of_kind.pop() for _ in range(quota)]
            split_of[np.isin(units, taken)] = split.name
    return split_of.tolist()


def _numbered(names: Sequence[str]) -> np.ndarray:
    """The place of each name in the order of the alphabet. An array of names would take the longest's room for each."""
    places = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([places[name] for name in names])


def fractional(task: TaskDefinition) -> list[Split]:
    """The splits that are parts of train."""
    return [split for split in task.splits if split.fraction is not None]


def _quotas(fraction: float, sizes: np.ndarray, most: Sequence[int]) -> list[int]:
    """How many of each stratum a split gets: the largest remainders round up."""
    exact = fraction * sizes
    quotas = np.minimum(np.floor(exact).astype(int), np.maximum(most, 0))
    for kind in np.argsort(-(exact - np.floor(exact)), kind="stable"):
        if quotas.sum() >= round(fraction * sizes.sum()):
            break
        quotas[kind] += quotas[kind] < most[kind]
    return quotas.tolist()
