"""A rule run over recorded numbers: the same rule code as in the engine, without the network."""

import torch
from torch import Tensor

from .base import AllDepthsRule, Decisions, Rule, Seen


def replay(rule: Rule, halting_logits: Tensor | None, logits: Tensor, example_ids: Tensor) -> Decisions:
    """What the engine decides on these numbers, exactly.

    Shape: halting logits [N − 1, E], or None where the model has none, logits [N, E, K], ids [E] -> E decisions.
    """
    depth, examples = logits.shape[:2]
    exit_layers = torch.full((examples,), depth, device=logits.device)
    if isinstance(rule, AllDepthsRule):
        return Decisions(rule.combine(halting_logits, logits), exit_layers)
    state = rule.start(example_ids)
    inside = torch.ones_like(exit_layers, dtype=torch.bool)
    for n in range(1, depth):
        halting = None if halting_logits is None else halting_logits[n - 1]
        leaves, state = rule.leaves(Seen(n, halting, logits[n - 1]), state)
        exit_layers[inside & leaves] = n
        inside &= ~leaves
    rows = torch.arange(examples, device=logits.device)
    return Decisions(logits[exit_layers - 1, rows], exit_layers)
