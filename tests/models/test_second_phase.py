"""Tests of training that continues from a model of the same task.

Its classifier is kept, its backbone frozen or its depth cut.
"""

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.models.starting_weights import StartingPoint

PER_LAYER = ("--per-layer-pooler", "--per-layer-classifier")
PHASE_TWO = ("--keep-classifier", *PER_LAYER)


def started(build, path, save_dir, *flags):
    """Returns the model that starts from ``path``, with its weights loaded as fairseq loads them."""
    model = build("--finetune-from-model", path, "--save-dir", save_dir, *flags)
    model.load_state_dict(torch.load(path, weights_only=False)["model"])
    return model


@pytest.fixture
def first(save_own, tmp_path):
    """Returns the checkpoint of a model with one pooler and one classifier for all layers."""
    return save_own(tmp_path / "first.pt")


def test_heads_for_all_layers_become_each_layers(build, first, tmp_path):
    theirs = torch.load(first, weights_only=False)["model"]
    network = started(build, first, tmp_path / "new", *PHASE_TWO).network
    assert len(network.classifier.copies) == len(network.pooler.copies) == 3
    for kept in network.classifier.copies:
        assert torch.equal(kept[-1].weight, theirs["network.classifier.copies.0.1.weight"])
    for kept in network.pooler.copies:
        assert torch.equal(kept.bias, theirs["network.pooler.copies.0.bias"])
    tokens = torch.randint(4, 9, (2, 5))
    alone = build()
    alone.load_state_dict(theirs)
    torch.testing.assert_close(network(tokens).logits, alone.network(tokens).logits, rtol=0, atol=1e-6)


def test_a_classifier_is_not_kept_unless_asked(build, first):
    theirs = torch.load(first, weights_only=False)["model"]
    theirs = {name: tensor + 1 for name, tensor in theirs.items()}
    kept = StartingPoint("it", ("pooler", "classifier")).weights(theirs, build().state_dict())
    left = StartingPoint("it", ("pooler",)).weights(theirs, build().state_dict())
    assert "classifier" in kept.loaded and "classifier" in left.initialised


def test_a_head_a_layer_does_not_become_one_for_all(build, save_own, tmp_path):
    path = save_own(tmp_path / "first.pt", "--per-layer-classifier")
    with pytest.raises(UserError, match="has no classifier that this model can take over"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", "--keep-classifier")


def test_an_encoder_has_no_classifier_to_keep(build, make_stock, save_stock, tmp_path):
    path = save_stock(make_stock(), tmp_path / "stock.pt")
    with pytest.raises(UserError, match="stock.pt: names no task: choose a checkpoint of --task glue"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", "--keep-classifier")


def test_the_classifier_of_another_task_is_not_kept(build, save_own, tmp_path):
    path = save_own(tmp_path / "first.pt")
    state = torch.load(path, weights_only=False)
    state["cfg"]["task"]["glue_task"] = "MRPC"
    torch.save(state, path)
    with pytest.raises(UserError, match="was trained for MRPC: its classifier can be kept for RTE only if it was "
                                        "trained for that task"):
        build("--finetune-from-model", path, "--save-dir", tmp_path / "new", "--keep-classifier")


def test_a_frozen_backbone_answers_as_before_and_the_other_exits_train(build, first, tmp_path):
    model = started(build, first, tmp_path / "new", *PHASE_TWO, "--freeze-backbone")
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in model.named_parameters()
                       if not name.startswith(("network.encoder.", "network.pooler.copies.2.",
                                               "network.classifier.copies.2."))}
    tokens = torch.randint(4, 9, (2, 5))
    before = model.network(tokens).logits
    optimizer = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1.0)
    before.logsumexp(-1).sum().backward()
    optimizer.step()
    after = model.network(tokens).logits
    assert torch.equal(before[-1], after[-1]) and not torch.equal(before[:-1], after[:-1])


@pytest.mark.parametrize("left_out", PHASE_TWO)
def test_a_frozen_backbone_needs_its_own_last_heads(build, first, tmp_path, left_out):
    flags = [flag for flag in PHASE_TWO if flag != left_out]
    with pytest.raises(UserError, match=f"--freeze-backbone .* needs {left_out} too"):
        build("--finetune-from-model", first, "--save-dir", tmp_path / "new", "--freeze-backbone", *flags)


def test_a_backbone_from_scratch_is_not_frozen(build, tmp_path):
    with pytest.raises(UserError, match="--freeze-backbone keeps a trained model as it is, and there is none to start "
                                        "from"):
        build("--save-dir", tmp_path, "--freeze-backbone", *PHASE_TWO)


def test_the_first_layers_of_a_deeper_encoder(build, first, tmp_path):
    theirs = torch.load(first, weights_only=False)["model"]
    model = started(build, first, tmp_path / "new", "--encoder-layers", 2, "--truncate-encoder")
    assert len(model.network.encoder.layers) == 2
    weights = model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name,
               tensor in weights.items() if name.startswith("network.encoder."))
    taken = model.starting_point.weights(theirs, weights)
    assert "deeper encoder layers" in taken.dropped


def test_a_shallower_encoder_is_no_start_for_a_deeper_one(build, first, tmp_path):
    with pytest.raises(UserError, match="it has no network.encoder.layers.3"):
        build("--finetune-from-model", first, "--save-dir", tmp_path / "new", "--encoder-layers", 4,
              "--truncate-encoder")


@pytest.mark.parametrize("flags, refusal", [
    (("--keep-classifier", "--fresh-heads"), "--keep-classifier and --fresh-heads contradict each other"),
    (("--truncate-encoder", "--encoder-groups", 2), "--truncate-encoder needs one group of weights per layer"),
])
def test_contradictions_are_refused(build, flags, refusal):
    with pytest.raises(UserError, match=refusal):
        build(*flags)
