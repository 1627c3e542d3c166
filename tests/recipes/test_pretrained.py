"""Starting from pretrained weights by recipes/glue_task.sh: converted once, recognised, and with the settings of its family."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from recipes import pretrained


@pytest.fixture
def source(tmp_path):
    """A folder that the stand-in converts."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_text("weights")
    return folder


@pytest.fixture
def conversions(environment):
    """conversions() lists the folders of converted checkpoints."""
    return lambda: sorted(path for path in Path(environment["PRETRAINED_DIR"]).glob("*") if path.is_dir())


class TestConversion:
    def test_decides_encoder_and_tokenizer(self, run_recipe, calls, source, conversions):
        run = run_recipe("glue_task.sh", "RTE", PRETRAINED=str(source), CONVERTED_ARCH="palbert_bert_minilm_l6")
        assert run.returncode == 0, run.stderr
        folder, = conversions()
        converted, = calls("checkpoints.convert")
        assert f"checkpoints.convert {source} --out {folder} " in converted and folder.name.startswith("encoder-")
        assert f"--vocab {folder} " in calls("preprocess.glue")[0]
        trained, = calls("fairseq-train")
        assert "--arch palbert_bert_minilm_l6 --encoder-layers 7 --dropout 0.0" in trained
        assert f"--finetune-from-model {folder}/model.pt" in trained and "--fresh-heads" not in trained

    def test_is_done_once_for_all_runs(self, run_recipe, calls, source, conversions):
        for run_dir in ("one", "two"):
            assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", RUN_DIR=run_dir, PRETRAINED=str(source),
                              CONVERTED_ARCH="palbert_bert_base").returncode == 0
        assert len(calls("checkpoints.convert")) == 1 and len(conversions()) == 1

    def test_is_done_once_by_two_runs_at_once(self, run_recipe, calls, source):
        def convert(run_dir: str) -> int:
            return run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", RUN_DIR=run_dir, PRETRAINED=str(source),
                              CONVERTED_ARCH="palbert_bert_base", CONVERTING="0.5").returncode

        with ThreadPoolExecutor() as pool:
            assert list(pool.map(convert, ("one", "two"))) == [0, 0]
        assert len(calls("checkpoints.convert")) == 1

    def test_is_of_one_source_and_its_content(self, run_recipe, source, conversions, tmp_path):
        other = tmp_path / "other" / "encoder"
        other.mkdir(parents=True)
        for i, path in enumerate((source, other, source, source)):
            if i == 2:
                (source / "model.safetensors").write_text("others")
                os.utime(source / "model.safetensors", (time.time() + 9, time.time() + 9))
            run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", PRETRAINED=str(path), CONVERTED_ARCH="palbert_bert_base")
        assert len(conversions()) == 3

    def test_failing_is_one_line(self, run_recipe, calls, conversions):
        run = run_recipe("glue_task.sh", "RTE", PRETRAINED="a/bert")
        assert run.returncode == 1 and run.stderr.count("error") == 1 and conversions() == []
        assert not calls("preprocess.glue")

    def test_a_converted_folder_is_used_as_it_is(self, run_recipe, calls, source):
        (source / "conversion.json").write_text('{"arch": "palbert_albert_base", "flags": []}')
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED=str(source)).returncode == 0
        assert not calls("checkpoints.convert")
        assert f"--finetune-from-model {source}/model.pt" in calls("fairseq-train")[0]

    def test_arch_by_hand_is_held_against_the_checkpoint(self, run_recipe, calls, source):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED=str(source),
                          CONVERTED_ARCH="palbert_bert_base", ARCH="palbert_bert_large").returncode == 0
        assert "--arch palbert_bert_large --dropout" in calls("fairseq-train")[0]

    def test_fresh_heads(self, run_recipe, calls, source):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED=str(source),
                          CONVERTED_ARCH="palbert_bert_base", FRESH_HEADS="1").returncode == 0
        assert "--fresh-heads" in calls("fairseq-train")[0]


class TestUsualCheckpoints:
    @pytest.mark.parametrize("arch, name", [
        ("palbert_roberta_large", "/roberta.large.tar.gz"), ("palbert_bert_base", "google-bert/bert-base-uncased"),
        ("palbert_mpnet_base", "sentence-transformers/all-mpnet-base-v2"),
        ("palbert_albert_base", "albert/albert-base-v2"), ("palbert_albert_xlarge_v1", "albert/albert-xlarge-v1"),
    ])
    def test_of_an_architecture(self, run_recipe, calls, arch, name):
        run = run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", ARCH=arch, CONVERTED_ARCH=arch, DOWNLOADS="1")
        assert run.returncode == 0, run.stderr
        if name.startswith("/"):
            assert name in calls("preprocess.download")[0]
        else:
            assert f"checkpoints.convert {name} " in calls("checkpoints.convert")[0]

    def test_what_is_downloaded_is_not_kept(self, run_recipe, environment, calls):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", ARCH="palbert_roberta_base",
                          CONVERTED_ARCH="palbert_roberta_base", DOWNLOADS="1", VOCAB_DIR="").returncode == 0
        archive, vocabulary = (call.split(" --out ")[1].split()[0] for call in calls("preprocess.download"))
        assert f"{archive} --out" in calls("checkpoints.convert")[0]
        assert f"--vocab {vocabulary} " in calls("checkpoints.convert")[0]
        left = sorted(path.name for path in Path(environment["PRETRAINED_DIR"]).iterdir())
        assert len(left) == 2 and left[1] == left[0] + ".lock" and left[0].startswith("roberta.base-")

    def test_offline_gives_one_line(self, run_recipe, calls):
        run = run_recipe("glue_task.sh", "RTE", ARCH="palbert_roberta_base")
        assert run.returncode == 1 and run.stderr.count("error") == 1
        assert not calls("fairseq-train")

    @pytest.mark.parametrize("variables", [{}, {"ARCH": "palbert_bert_tiny"},
                                           {"ARCH": "palbert_bert_base", "PRETRAINED": "none"}])
    def test_from_scratch(self, run_recipe, calls, variables):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", **variables).returncode == 0
        assert "--finetune-from-model" not in calls("fairseq-train")[0]
        assert not calls("checkpoints.convert")

    @pytest.mark.parametrize("arch, folder", [("palbert_bert_tiny", "bert"), ("palbert_roberta_tiny", "gpt2_bpe")])
    def test_from_scratch_takes_the_family_s_vocabulary(self, run_recipe, calls, environment, arch, folder):
        vocabularies = Path(environment["VOCAB_DIR"])
        run_recipe("glue_task.sh", "RTE", "--stop-stage", "2", ARCH=arch, RUN_DIR="without")
        (vocabularies / folder).mkdir()
        run_recipe("glue_task.sh", "RTE", "--stop-stage", "2", ARCH=arch)
        without, within = calls("preprocess.glue")
        assert f"--vocab {vocabularies} " in without and f"--vocab {vocabularies / folder} " in within


class TestSettings:
    def flags(self, calls) -> dict[str, str]:
        words = calls("fairseq-train")[-1].split(" --")[1:]
        return dict((word.split(" ", 1) + [""])[:2] for word in words)

    def test_albert_as_palbert(self, run_recipe, calls):
        """100 examples: 4 updates an epoch, 25 epochs."""
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED="a/b",
                          CONVERTED_ARCH="palbert_albert_base").returncode == 0
        flags = self.flags(calls)
        assert {name: flags[name] for name in ("lr", "lambda-lr", "batch-size", "weight-decay", "dropout", "patience")} == {
            "lr": "1e-5", "lambda-lr": "1e-5", "batch-size": "32", "weight-decay": "0.0", "dropout": "0.0", "patience": "5"}
        assert flags["max-update"] == "100" and flags["warmup-updates"] == "0" and "prior-lambda" not in flags

    def test_the_row_of_the_task_comes_before_that_of_all(self, run_recipe, calls):
        for task, epochs in (("RTE", "4"), ("MNLI", "3")):
            assert run_recipe("glue_task.sh", task, "--stop-stage", "4", PRETRAINED="a/b", RUN_DIR=task,
                              CONVERTED_ARCH="palbert_bert_minilm_l6").returncode == 0
            assert self.flags(calls)["max-epoch"] == epochs

    def test_epochs_count_the_examples_that_are_trained_on(self, run_recipe, calls):
        """50 of 100 in batches of 32: 2 updates an epoch."""
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED="a/b", CONVERTED_ARCH="palbert_bert_base",
                          TRAIN_EXAMPLES="50").returncode == 0
        flags = self.flags(calls)
        assert flags["train-examples"] == "50" and flags["total-num-update"] == flags["max-update"] == "6"

    def test_vanilla(self, run_recipe, calls):
        assert run_recipe("glue_task.sh", "RTE", PRETRAINED="a/b", CONVERTED_ARCH="palbert_bert_base",
                          METHOD="vanilla").returncode == 0
        flags = self.flags(calls)
        assert flags["criterion"] == "multi_exit_classification"
        assert flags["layer-weights"] == "last" and flags["lambda-module"] == "none"
        assert not {"beta", "prior-lambda", "lambda-lr"} & set(flags)
        assert "--exit fixed:7 " in calls("fairseq_palbert.evaluation")[0]

    def test_detokenize(self, run_recipe, calls):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "2", DETOKENIZE="1").returncode == 0
        assert "--detokenize" in calls("preprocess.glue")[0]
        assert run_recipe("glue_task.sh", "RTE").returncode == 1


class TestOwnCheckpoints:
    @pytest.fixture
    def trained(self, tmp_path):
        """A run's checkpoint, as far as it is looked at, whose training started from a converted folder."""
        converted = tmp_path / "converted"
        converted.mkdir()
        (converted / "tokenizer.json").write_text("{}")
        settings = {"_name": "palbert_bert", "encoder_layers": 3, "encoder_groups": None, "activation_fn": "relu",
                    "dropout": 0.1}
        for name, start in (("mnli", converted / "model.pt"), ("rte", tmp_path / "mnli.pt")):
            torch.save({"cfg": {"model": settings, "checkpoint": {"finetune_from_model": str(start)}}, "model": {}},
                       tmp_path / f"{name}.pt")
        return tmp_path / "rte.pt"

    def test_are_described(self, trained, tmp_path):
        found = pretrained.describe(trained)
        assert found == pretrained.Pretrained("palbert_bert", trained, tmp_path / "converted",
                                              ["--encoder-layers", "3", "--activation-fn", "relu"])

    def test_are_used_as_they_are(self, trained, run_recipe, calls, tmp_path):
        assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "4", PRETRAINED="rte.pt").returncode == 0
        assert not calls("checkpoints.convert")
        assert f"--vocab {tmp_path / 'converted'} " in calls("preprocess.glue")[0]
        assert "--arch palbert_bert --encoder-layers 3 --activation-fn relu --dropout" in calls("fairseq-train")[0]
        assert f"--finetune-from-model {trained}" in calls("fairseq-train")[0]

    def test_others_are_not_described(self, tmp_path):
        torch.save({"args": None, "model": {}}, tmp_path / "stock.pt")
        (tmp_path / "broken.pt").write_text("no checkpoint")
        assert pretrained.describe(tmp_path / "stock.pt") is None
        assert pretrained.describe(tmp_path / "broken.pt") is None
        assert pretrained.describe(tmp_path) is None


class TestAllOfGlue:
    LINE = {"ARCH": "palbert_albert_base", "SEEDS": "1 2 3 4 5", "RUN_DIR": ""}

    def test_offline_is_one_line_before_any_task(self, run_recipe, calls):
        run = run_recipe("glue_all.sh", "RTE", "CoLA", **self.LINE)
        assert run.returncode == 1 and run.stderr.count("error") == 1
        assert len(calls("checkpoints.convert albert/albert-base-v2 ")) == 1 and not calls("preprocess.glue")

    def test_goes_through_every_task_and_seed(self, run_recipe, calls, tmp_path):
        run = run_recipe("glue_all.sh", "RTE", "CoLA", **(self.LINE | {"RUN_DIR": str(tmp_path / "all"), "SEEDS": "1 2"}),
                         CONVERTED_ARCH="palbert_albert_base")
        assert run.returncode == 0, run.stderr
        trained = [call.split("--save-dir ")[1].split()[0] for call in calls("fairseq-train")]
        assert trained == [str(tmp_path / "all" / task / f"seed{seed}" / "checkpoints")
                           for task in ("RTE", "CoLA") for seed in (1, 2)]
        assert len(calls("checkpoints.convert")) == 1
