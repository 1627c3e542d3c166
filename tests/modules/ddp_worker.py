"""Worker of test_pondering.py: trains configurations under torch's DistributedDataParallel.

``ddp_worker.py RANK FOLDER`` trains each configuration in FOLDER/configurations.json for two steps over gloo, together
with one other process.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

sys.modules["fairseq"] = None  # as if not installed: these modules do not need it, and its import takes seconds

from fairseq_palbert.modules.encoder import Encoder, EncoderShape  # noqa: E402
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier  # noqa: E402
from fairseq_palbert.ponder.objective import PonderObjective  # noqa: E402

SHAPE = EncoderShape(vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=3, hidden=8, ffn_hidden=12,
                     heads=2)


def train(heads: HeadsShape, rank: int) -> None:
    torch.manual_seed(0)
    model = DistributedDataParallel(PonderingClassifier(Encoder(SHAPE), heads))
    optimizer = torch.optim.Adam(model.parameters())
    torch.manual_seed(rank)
    for _ in range(2):
        output = model(torch.randint(2, SHAPE.vocabulary, (4, 7)))
        labels = torch.randint(heads.outputs, (4,))
        losses = torch.stack([F.cross_entropy(logits, labels, reduction="none") for logits in output.logits])
        PonderObjective(beta=0.5, lambda_p=0.2)(output.halting_logits, losses).loss.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    weights = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    of_ranks = [torch.empty_like(weights) for _ in range(2)]
    distributed.all_gather(of_ranks, weights)
    assert torch.equal(*of_ranks), heads


def main(rank: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'rendezvous'}", rank=rank, world_size=2,
                                   timeout=timedelta(seconds=60))
    for heads in json.loads((folder / "configurations.json").read_text()):
        train(HeadsShape(**heads), rank)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
