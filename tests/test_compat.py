"""Canary tests of the private interfaces that ``fairseq_palbert.compat`` relies on.

Where an upgrade moves an interface, its test fails and names the interface, its use and the remedy.
"""

import inspect
import logging
import re
import subprocess
import sys
from argparse import Namespace
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import torch
from fairseq import checkpoint_utils, models, options, progress_bar, trainer
from fairseq_cli import train
from huggingface_hub import snapshot_download
from omegaconf import OmegaConf
from torch.nn import functional as F

from fairseq_palbert import plugin  # noqa: F401  registers our classes with fairseq
from fairseq_palbert.compat import fairseq_registries, fairseq_trainer, onednn
from fairseq_palbert.compat.hugging_face import CONNECTION_ERRORS
from fairseq_palbert.models.palbert import PalbertModel

PACKAGE = Path(__file__).parents[1] / "fairseq_palbert"
PRIVATE = re.compile(r"torch\.ops\b|torch\._|torch\.ao\b|\b(ARCH|MODEL)_\w*REGISTRY\b|\.tpu\b|\bhttpx2\b"
                     r"|load_checkpoint_to_cpu =|\bNanDetector\b|\bshould_stop_early\b|\bprogress_bar\b")
INDUCTOR = "what torch/_inductor/fx_passes calls in its place is what it has become"


@contextmanager
def canary(interface: str, use: str, remedy: str):
    try:
        yield
    except Exception as error:
        pytest.fail(f"{interface} is not what it was ({type(error).__name__}: {error}). Used for {use}. {remedy}.")


def test_private_interfaces_are_named_in_compat_alone():
    files = [file for file in PACKAGE.rglob("*.py") if PRIVATE.search(file.read_text())]
    assert {file.parent.name for file in files} == {"compat"} and len(files) == 4, files


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_torch_ops_mkldnn_linear(dtype, tolerance):
    x, weight, bias = torch.randn(9, 24), torch.randn(40, 24), torch.randn(40)
    with canary("torch.ops.mkldnn._reorder_linear_weight, ._linear_pointwise or ._is_mkldnn_bf16_supported",
                "float linear layers (inference.prepacked_linear)", f"Let compat.onednn follow: {INDUCTOR}"):
        assert onednn.has_linear(), "they are not there"
        if not onednn.has_linear(dtype):
            pytest.skip(f"this CPU has no oneDNN products in {dtype}")
        found = onednn.linear(x.to(dtype), onednn.prepack(weight.to(dtype), 9), bias.to(dtype), ("gelu", "tanh"))
        expected = F.gelu(F.linear(x, weight, bias), approximate="tanh")
        torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance)


def test_torch_ops_onednn_qlinear():
    x, weight, bias = torch.randint(0, 128, (9, 24)), torch.randint(-127, 128, (40, 24)), torch.randn(40)
    scales, zeros = torch.rand(40) / 1000, torch.zeros(40, dtype=torch.int64)
    with canary("torch.ops.onednn.qlinear_prepack or .qlinear_pointwise", "dtype int8 (inference.int8_linear)",
                f"Let compat.onednn follow: {INDUCTOR}"):
        laid_out = onednn.prepack_int8(weight.to(torch.int8))
        found = onednn.int8_linear(x.to(torch.uint8), 0.5, 60, laid_out, scales, zeros, bias, ("relu", ""))
        expected = (0.5 * (x - 60).float() @ weight.T.float() * scales + bias).relu()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_fairseq_s_trainer_reads_checkpoints_by_its_module_s_function(monkeypatch):
    with canary("fairseq.checkpoint_utils.load_checkpoint_to_cpu", "reading checkpoints as data (models.palbert)",
                "Let compat.fairseq_trainer replace what Trainer.load_checkpoint calls"):
        monkeypatch.setattr(checkpoint_utils, "load_checkpoint_to_cpu", checkpoint_utils.load_checkpoint_to_cpu)
        fairseq_trainer.read_checkpoints_by(lambda path: f"read {path}")
        assert trainer.checkpoint_utils.load_checkpoint_to_cpu("a.pt", load_on_all_ranks=True) == "read a.pt"
        assert "checkpoint_utils.load_checkpoint_to_cpu(" in inspect.getsource(trainer.Trainer.load_checkpoint)


def test_fairseq_s_trainer_diagnoses_nan_by_its_module_s_class(monkeypatch):
    with canary("fairseq.trainer.NanDetector", "the line of a training that diverges (tasks.sentence_task)",
                "Let compat.fairseq_trainer replace what Trainer.train_step calls for a FloatingPointError"):
        monkeypatch.setattr(trainer, "NanDetector", trainer.NanDetector)
        fairseq_trainer.end_divergence_by("end")
        assert trainer.NanDetector == "end"
        assert "with NanDetector(self.get_model())" in inspect.getsource(trainer.Trainer.train_step)


def test_fairseq_counts_for_patience_in_attributes_of_a_function(monkeypatch):
    should_stop_early = train.should_stop_early
    monkeypatch.setattr(should_stop_early, "best", None, raising=False)
    monkeypatch.setattr(should_stop_early, "num_runs", 0, raising=False)
    cfg = OmegaConf.create({"checkpoint": {"patience": 3, "maximize_best_checkpoint_metric": True}})
    with canary("fairseq_cli.train.should_stop_early", "--patience over a resumed training (tasks.sentence_task)",
                "Let compat.fairseq_trainer read and set where it counts now"):
        fairseq_trainer.count_patience_on(0.9, 1)
        assert not should_stop_early(cfg, 0.8) and fairseq_trainer.patience_counts() == {"best": 0.9, "num_runs": 2}
        assert should_stop_early(cfg, 0.8)


def test_fairseq_opens_tensorboard_s_files_by_its_module_s_class(tmp_path):
    with canary("fairseq.progress_bar.SummaryWriter", "TensorBoard of a resumed training (tasks.early_exit_task)",
                "Let compat.fairseq_trainer replace what TensorboardProgressBarWrapper opens a folder by"):
        fairseq_trainer.log_anew_from(3)
        assert "= SummaryWriter(" in inspect.getsource(progress_bar.TensorboardProgressBarWrapper)
        for folder in ("train", "valid"):  # the second while the first is open
            progress_bar.SummaryWriter(str(tmp_path / folder)).close()


def parsed(*words: str) -> Namespace:
    return options.parse_args_and_arch(options.get_training_parser(), ["data", "--task", "glue", *words])


def test_fairseq_arch_config_registry():
    with canary("fairseq.models.ARCH_CONFIG_REGISTRY", "the preset of a bare --arch palbert_FAMILY "
                                                       "(models.architectures)",
                "Let compat.fairseq_registries put it where fairseq now looks"):
        assert parsed("--arch", "palbert_roberta").encoder_layers == 12


def test_fairseq_arch_model_registry():
    with canary("fairseq.models.ARCH_MODEL_REGISTRY", "the class that --arch names (tasks.sentence_task)",
                "Let compat.fairseq_registries ask where fairseq.models.build_model now does"):
        found = fairseq_registries.model_class("palbert_bert_base")
        assert issubclass(found, PalbertModel) and found is models.MODEL_REGISTRY["palbert_bert"]


def test_fairseq_takes_bf16_for_a_tpu():
    with canary("fairseq.options, which sets tpu where --bf16 is given", "training in bfloat16 (models.architectures)",
                "Where it no longer does, delete compat.fairseq_registries.undo_tpu"):
        assert parsed("--arch", "roberta_base", "--bf16").tpu
        assert not parsed("--arch", "palbert_roberta_base", "--bf16").tpu


def test_huggingface_hub_does_not_wrap_errors_of_httpx2(monkeypatch, tmp_path):
    def unreachable(*args, **kwargs):
        raise httpx2.ProxyError("no proxy")

    monkeypatch.setattr(httpx2.Client, "send", unreachable)
    with canary("huggingface_hub, which does not wrap its HTTP client's errors,",
                "the message for a Hub that cannot be "
                "reached (checkpoints.hub)", "Name the errors of its present client in compat.hugging_face"):
        with pytest.raises(httpx2.ProxyError, match="no proxy") as error:
            snapshot_download("some/model", cache_dir=tmp_path)
        assert isinstance(error.value, CONNECTION_ERRORS)


def test_importing_fairseq_prints_nothing_and_leaves_the_level_of_logging():
    code = "import logging; import fairseq_palbert.models; print(logging.getLogger().level)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == (f"{logging.WARNING}\n", "")
