"""Tests of recurrent models on parity: resumed training, fairseq-validate, and TensorBoard curves."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[2]
STEPS = 3
TASK = ("--user-dir", ROOT / "fairseq_palbert", "--cpu", "--task", "parity", "--vector-size", "6", "--valid-subset",
        "valid,test", "--num-workers", "0")
TRAIN = (*TASK, "--train-vectors", "40", "--valid-vectors", "20", "--rnn-width", "5", "--max-steps", STEPS,
         "--optimizer", "ponder_adam", "--lr", "0.01", "--batch-size", "8", "--no-epoch-checkpoints")
PONDER = ("--arch", "ponder_rnn", "--criterion", "ponder_classification")
ACT = ("--arch", "act_rnn", "--criterion", "act")


def weights(save_dir: Path) -> dict[str, torch.Tensor]:
    return torch.load(save_dir / "checkpoint_last.pt", weights_only=True)["model"]


def test_training_that_stops_amid_an_epoch_goes_on_as_if_it_had_not(fairseq, tmp_path):
    """An epoch has 5 updates; the first run stops after 7, and the second epoch has new vectors."""
    for updates, folder in ((12, "unbroken"), (7, "resumed"), (12, "resumed")):
        fairseq("train", *TRAIN, *PONDER, "--max-update", updates, "--save-dir", tmp_path / folder)
    unbroken, resumed = weights(tmp_path / "unbroken"), weights(tmp_path / "resumed")
    assert unbroken.keys() == resumed.keys()
    assert all(unbroken[name].equal(resumed[name]) for name in unbroken)


def test_tensorboard_shows_an_update_that_is_done_again_once(fairseq, tmp_path):
    """The second run goes on from before the first one's end, as after a kill."""
    log = ("--tensorboard-logdir", tmp_path / "tb", "--log-format", "simple", "--log-interval", 1)
    train = ("train", *TRAIN, *PONDER, *log, "--save-dir", tmp_path, "--save-interval-updates", 3)
    fairseq(*train, "--max-update", 8)
    fairseq(*train, "--max-update", 10, "--restore-file", tmp_path / "checkpoint_1_3.pt")
    for split, steps in (("train_inner", [*range(1, 11)]), ("valid", [3, 5, 6, 9, 10])):
        events = EventAccumulator(str(tmp_path / "tb" / split)).Reload()
        assert [event.step for event in events.Scalars("loss")] == steps, split


@pytest.mark.parametrize("flags, names", [
    (PONDER, {"loss", "task_loss", "kl", "posterior_depth", "q_exit_depth", "accuracy", "score"}),
    (ACT, {"loss", "task_loss", "ponder_cost", "steps", "remainder", "accuracy", "score"}),
])
def test_tensorboard_shows_the_curves_and_the_checkpoint_is_scored(fairseq, tmp_path, flags, names):
    fairseq("train", *TRAIN, *flags, "--max-epoch", 2, "--save-dir", tmp_path, "--tensorboard-logdir", tmp_path / "tb")
    of_steps = {f"{name}_{n}" for name in ("p", "accuracy") for n in range(1, STEPS + 1)}
    for split in ("train", "valid", "test"):
        events = EventAccumulator(str(tmp_path / "tb" / split)).Reload()
        assert names | of_steps <= set(events.Tags()["scalars"]), split
        assert len(events.Scalars("accuracy")) == 2
    printed = fairseq("validate", *TASK, "--valid-vectors", "20", "--batch-size", 20, "--log-format", "simple",
                      "--path", tmp_path / "checkpoint_last.pt")
    assert f"| accuracy {events.Scalars('accuracy')[-1].value:g} |" in printed
