"""Run exit rules on recorded numbers, without the network."""

import torch
from torch import Tensor

from .base import AllDepthsRule, Decisions, Recording, Rule


def replay(rule: Rule, recording: Recording, example_ids: Tensor) -> Decisions:
    """Exactly the engine's decisions on these numbers, by the same rule code. Shape: ids [E] -> E decisions."""
    logits = recording.logits
    depth, examples = logits.shape[:2]
    exit_layers = torch.full((examples,), depth, device=logits.device)
    if isinstance(rule, AllDepthsRule):
        return Decisions(rule.combine(recording.halting_logits, logits), exit_layers)
    state = rule.start(example_ids)
    active = torch.ones_like(exit_layers, dtype=torch.bool)
    for n in range(1, depth):
        leaves, state = rule.leaves(recording.at(n), state)
        exit_layers[active & leaves] = n
        active &= ~leaves
    rows = torch.arange(examples, device=logits.device)
    return Decisions(logits[exit_layers - 1, rows], exit_layers)
