"""The scores and depths of an exit rule's decisions."""

import numpy as np

from ..exits.base import Decisions, Rule
from ..exits.rules.sampling import Sampling
from ..modules.flops import exit_flops
from .measures import against_the_last_layer
from .recorded_split import RecordedSplit
from .records import expected_score, predictions, score


def describe(recorded: RecordedSplit, rule: Rule, decisions: Decisions) -> dict:
    """The fields of scores.jsonl that need no clock.

    Depths are in layers. The percentile is the first layer by which 95 % of the examples have exited. The standard
    deviation is the split's own, not a sample's. ``mean_flops`` is the mean of ``modules.flops`` over sentences. A task
    with groups has their number as well, and the mean over ``groups`` of the sum of their rows' exit layers. Their
    score has no closed form under sampling, so that there is no ``expected_score``.
    """
    layers = decisions.exit_layers.numpy()
    flops = exit_flops(recorded.encoder, recorded.heads, recorded.lengths, decisions.exit_layers, rule.reads_halting,
                       rule.reads_logits, rule.reads_errors)
    metrics = score(recorded, decisions.outputs)
    if isinstance(rule, Sampling) and metrics and recorded.groups is None:
        metrics["expected_score"] = expected_score(recorded)
    return {
        "task": recorded.task.name,
        "split": recorded.split,
        "exit": rule.spec,
        "rule": rule.name,
        "threshold": rule.parameter,
        "metrics": metrics,
        **against_the_last_layer(recorded, predictions(decisions.outputs)),
        "examples": len(layers),
        "mean_exit": float(layers.mean()),
        "median_exit": float(np.median(layers)),
        "p95_exit": int(np.percentile(layers, 95, method="inverted_cdf")),
        "sd_exit": float(layers.std()),
        "exit_histogram": np.bincount(layers - 1, minlength=recorded.depth).tolist(),
        "mean_flops": float(flops.double().mean()),
        "layer_speedup": recorded.depth / float(layers.mean()),
        **({} if recorded.groups is None else {"groups": recorded.units,
                                               "layers_per_group": float(layers.sum()) / recorded.units}),
    }
