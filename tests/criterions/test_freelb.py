"""Tests of FreeLB's adversarial noise: against a loop of the paper's algorithm, and on a model."""

import pytest
import torch
from omegaconf import OmegaConf

from fairseq_palbert.criterions.freelb import FreeLB
from fairseq_palbert.criterions.multi_exit_classification import MultiExitClassification, MultiExitClassificationConfig
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier

REAL = torch.tensor([[True, True, True], [True, False, False]])
WIDTH = 4


@pytest.mark.parametrize("lr, norm", [(0.1, 5.0), (3.0, 0.5)])  # the second projects every step
def test_steps_climb_as_in_the_paper(lr, norm):
    weights = torch.randn(2, 3, WIDTH, generator=torch.Generator().manual_seed(0))
    noises = []

    def loss_of(noise):
        noises.append(noise)
        return ((noise + weights) ** 2).sum()

    torch.manual_seed(1)
    losses = list(FreeLB(3, lr, norm).passes(loss_of, REAL, WIDTH))
    assert len(losses) == 3 and losses[0] < losses[1] < losses[2] + 1e-6
    torch.manual_seed(1)
    expected = torch.empty(2, 3, WIDTH).uniform_(-1, 1)
    for row, real in enumerate(REAL):
        delta = expected[row] * norm / (real.sum() * WIDTH) ** 0.5
        delta[~real] = 0
        for noise in noises:
            torch.testing.assert_close(noise[row].detach(), delta)
            uphill = 2 * (delta + weights[row])
            uphill[~real] = 0
            delta = delta + lr * uphill / uphill.norm()
            if delta.norm() > norm:
                delta = delta * norm / delta.norm()


@pytest.fixture
def parts(make_task):
    """parts(options...) returns a criterion, a model, and a batch of two sentences, of which the second is padded."""

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.network = PonderingClassifier(
                Encoder(EncoderShape(vocabulary=17, padding_id=1, separator_id=2, max_positions=9, layers=3, hidden=8,
                                     ffn_hidden=12, heads=2, embedding=6)),
                HeadsShape(outputs=2, lambda_module="none", classifier_dropout=0.0))

        def forward(self, src_tokens, noise=None):
            return self.network(src_tokens, noise=noise)

    def make(**options):
        config = MultiExitClassificationConfig(layer_weights="uniform", **options)
        tokens = torch.tensor([[0, 5, 6, 7, 2], [0, 8, 2, 1, 1]])
        return (MultiExitClassification(OmegaConf.structured(config), make_task("SST-2")), Model(),
                {"net_input": {"src_tokens": tokens}, "target": torch.tensor([0, 1]), "id": torch.arange(2),
                 "examples": 2,
                 "nsentences": 2, "ntokens": 8})

    return make


def test_training_takes_the_mean_loss_of_all_passes_and_validation_none(parts):
    criterion, model, sample = parts()
    clean = criterion(model, sample)[0]
    attacking, _, _ = parts(freelb_steps=3, freelb_norm=2.0, freelb_lr=1.0)
    loss, _, log = attacking(model, sample)
    assert loss > clean and log["loss"] == loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert attacking.eval()(model, sample)[0] == clean


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_model_in_half_precision_takes_noise(parts, dtype):
    attacking, model, sample = parts(freelb_steps=2, freelb_norm=2.0, freelb_lr=1.0)
    exact = attacking(model, sample)[0]
    assert attacking(model.to(dtype), sample)[0].item() == pytest.approx(exact.item(), rel=0.05)


def test_next_to_no_noise_changes_next_to_nothing(parts):
    criterion, model, sample = parts()
    attacking, _, _ = parts(freelb_steps=2, freelb_norm=1e-6, freelb_lr=1e-6)
    torch.testing.assert_close(attacking(model, sample)[0], criterion(model, sample)[0])
