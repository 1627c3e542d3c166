"""A run on a GPU: train, resume, score. The same scores on the CPU."""

import subprocess
import sys

import pytest
import torch

from fairseq_palbert.analysis.recorded_split import read_record

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", [[], ["--bf16"], ["--fp16"]], ids=["float32", "bf16", "fp16"])
@pytest.mark.parametrize("task", ["MRPC", "STS-B"])
def test_a_run_trains_resumes_and_is_scored(fairseq, make_toy_data, tmp_path, task, precision):
    data = make_toy_data(tmp_path / "data", task)
    command = ["train", data, "--user-dir", "fairseq_palbert", "--task", "glue", "--glue-task", task,
               "--arch", "palbert_roberta_tiny", "--criterion", "ponder_classification", "--optimizer", "ponder_adam",
               "--lr", "0.001", "--batch-size", "32", "--save-dir", tmp_path, "--no-epoch-checkpoints",
               "--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric", *precision]
    fairseq(*command, "--max-epoch", "1")
    assert "Loaded checkpoint" in fairseq(*command, "--max-epoch", "2")
    saved = torch.load(tmp_path / "checkpoint_last.pt", weights_only=True)
    assert saved["optimizer_history"][-1]["num_updates"] == 14  # 203 examples in batches of 32, twice
    assert all(values.isfinite().all() for values in saved["model"].values())
    records = {}
    for device in ("cpu", "cuda"):
        subprocess.run([sys.executable, "-m", "fairseq_palbert.evaluation", tmp_path / "checkpoint_best.pt",
                        "--data", data, "--glue-task", task, "--split", "valid", "--exit", "q_exit:0.5", "--record",
                        "--device", device, "--out", tmp_path / device], check=True)
        records[device] = read_record(tmp_path / device / "record.safetensors").recording
    for name in ("halting_logits", "logits"):
        found, expected = (getattr(records[device], name) for device in ("cuda", "cpu"))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
