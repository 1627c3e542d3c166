"""Tests of the digest of tensors: equal for equal bytes, different after any damage."""

import torch

from fairseq_palbert.checkpoints.formats.digests import BLOCK, tensors_sha256


def test_equal_tensors_have_one_digest_whatever_their_order():
    torch.manual_seed(0)
    weight, bias = torch.randn(100, 50), torch.randn(7).bfloat16()
    digest = tensors_sha256({"weight": weight, "bias": bias})
    assert digest == tensors_sha256({"bias": bias.clone(), "weight": weight.clone()})
    assert digest != tensors_sha256({"bias": bias, "other": weight})
    assert digest != tensors_sha256({"weight": weight, "bias": bias.float()})


def test_every_damage_changes_it():
    torch.manual_seed(0)
    sound = torch.randint(0, 256, (5 * BLOCK + 13,), dtype=torch.uint8)
    digests = {tensors_sha256({"weight": sound})}
    damages = [(place, place + size) for size in (1, 8, 100, BLOCK) for place in (0, 3 * BLOCK + 5, 4 * BLOCK + 13)]
    for first, end in damages:
        damaged = sound.clone()
        damaged[first:end] += 1
        digests.add(tensors_sha256({"weight": damaged}))
        damaged[first:end] = 0
        digests.add(tensors_sha256({"weight": damaged}))
    moved = torch.cat([sound[BLOCK:2 * BLOCK], sound[:BLOCK], sound[2 * BLOCK:]])
    digests.add(tensors_sha256({"weight": moved}))
    assert len(digests) == 2 + 2 * len(damages)
