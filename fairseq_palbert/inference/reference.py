"""One sentence without optimisations: the reference that the engine is tested against."""

import torch
from torch import Tensor

from ..exits.base import AllDepthsRule, Decisions, Rule, Seen, of_layer
from .network import PonderingNetwork


@torch.inference_mode()
def decide_alone(network: PonderingNetwork, rule: Rule, sentence: Tensor, example_id: int) -> Decisions:
    """Run every head at every layer until the sentence exits. Shape: [T] token ids -> the decision of B = 1."""
    batch = network.packed([sentence])
    hidden = network.embed(batch)
    memory = state = None
    halting_logits, logits = [], []
    for n in range(1, network.depth + 1):
        hidden = network.step(n, hidden, batch)
        pooled = network.pool(n, network.summarize(hidden, batch)[None])
        logits.append(network.classify(n, pooled)[0])
        if n == network.depth:
            break
        halting_logit = None
        if network.halts:
            memory = network.initial_memory(pooled) if memory is None else memory
            halting_logit, memory = network.halt(n, pooled, logits[-1][None], memory)
            halting_logits.append(halting_logit[0])
        if isinstance(rule, AllDepthsRule):
            continue
        state = rule.start(torch.tensor([example_id], device=hidden.device)) if state is None else state
        error_logit = network.expect_error(n, pooled)[0] if network.learns_exit else None
        layer = torch.tensor([n], device=hidden.device)
        leaves, state = rule.leaves(Seen(layer, of_layer(halting_logit, 0), logits[-1], error_logit), state)
        if leaves.item():
            break
    exit_layer = torch.tensor([len(logits)])
    if isinstance(rule, AllDepthsRule):
        return Decisions(rule.combine(torch.stack(halting_logits), torch.stack(logits)), exit_layer)
    return Decisions(logits[-1], exit_layer)
