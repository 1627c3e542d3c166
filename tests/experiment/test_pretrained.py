"""Tests of starting from pretrained weights: conversion, recognition and the family's settings."""

import os
import subprocess
import time

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import pretrained


@pytest.fixture
def source(settings, tmp_path):
    """Returns a folder that the stand-in converts."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "model.safetensors").write_text("weights")
    return folder


@pytest.fixture
def conversions(tmp_path):
    """conversions() returns the folders of converted checkpoints, sorted."""
    return lambda: sorted(path for path in (tmp_path / "runs" / "pretrained").glob("*") if path.is_dir())


class TestConversion:
    def test_decides_encoder_and_tokenizer(self, experiment, stand_in, source, conversions):
        stand_in.arch = "palbert_bert_minilm_l6"
        experiment(pretrained=str(source))
        folder, = conversions()
        converted, = stand_in.find("checkpoints.convert")
        assert converted.endswith(f"checkpoints.convert {source} --out {folder}") and folder.name.startswith("encoder-")
        assert f"--vocab {folder} " in stand_in.find("preprocess.data")[0]
        trained, = stand_in.find("fairseq-train")
        assert "--arch palbert_bert_minilm_l6 --encoder-layers 7 --dropout 0.0" in trained
        assert f"--finetune-from-model {folder}/model.pt" in trained and "--fresh-heads" not in trained

    def test_of_a_folder_whose_name_begins_with_a_dash(self, experiment, stand_in, source, tmp_path):
        source.rename(tmp_path / "-x")
        experiment(stop_stage=1, pretrained="-x")
        assert f"checkpoints.convert {tmp_path}/-x --out " in stand_in.find("checkpoints.convert")[0]

    def test_is_done_once_for_all_runs(self, experiment, stand_in, source, conversions):
        for run_dir in ("one", "two"):
            experiment(stop_stage=1, run_dir=run_dir, pretrained=str(source))
        assert len(stand_in.find("checkpoints.convert")) == 1 and len(conversions()) == 1

    def test_is_of_one_source_and_its_content(self, experiment, source, conversions, tmp_path):
        other = tmp_path / "other" / "encoder"
        other.mkdir(parents=True)
        for i, path in enumerate((source, other, source, source)):
            if i == 2:
                (source / "model.safetensors").write_text("others")
                os.utime(source / "model.safetensors", (time.time() + 9, time.time() + 9))
            experiment(stop_stage=1, pretrained=str(path))
        assert len(conversions()) == 3

    def test_stands_where_the_recipe_in_bash_put_it(self, source, tmp_path):
        """Runs of the recipe in bash go on, because their flags name that folder."""
        script = """files="$(find -L "$1" -maxdepth 1 -type f -printf '%f %s %T@\\n' | LC_ALL=C sort)"
                    identity="$(realpath "$1") $files"
                    printf '%s-%.12s' "$(basename "$1")" "$(sha256sum <<<"$identity")" """
        (source / "B.txt").write_text("")
        for path in (source, source / "B.txt"):
            command = ["bash", "-c", script, "bash", path]
            name = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            assert pretrained.converted_folder(str(path), tmp_path) == tmp_path / name

    def test_failing_leaves_nothing(self, experiment, stand_in, conversions):
        stand_in.fail_at = "checkpoints.convert"
        with pytest.raises(UserError, match="out of luck"):
            experiment(pretrained="a/bert")
        assert not conversions() and not stand_in.find("preprocess.data")

    def test_a_converted_folder_is_used_as_it_is(self, experiment, stand_in, source):
        (source / "conversion.json").write_text('{"arch": "palbert_albert_base", "flags": []}')
        experiment(stop_stage=4, pretrained=str(source))
        assert not stand_in.find("checkpoints.convert")
        assert stand_in.trained["finetune-from-model"] == f"{source}/model.pt"

    def test_arch_by_hand_is_held_against_the_checkpoint(self, experiment, stand_in, source):
        experiment(stop_stage=4, pretrained=str(source), arch="palbert_bert_large")
        assert "--arch palbert_bert_large --dropout" in stand_in.find("fairseq-train")[0]

    def test_fresh_heads(self, experiment, stand_in, source):
        experiment(stop_stage=4, pretrained=str(source), fresh_heads=True)
        assert "fresh-heads" in stand_in.trained

    def test_more_layers_than_its_flags_name(self, experiment, source):
        with pytest.raises(UserError, match="method=static8, but palbert_bert_base has 7 layers"):
            experiment(pretrained=str(source), method="static8")


class TestUsualCheckpoints:
    @pytest.mark.parametrize("arch, name", [
        ("palbert_roberta_large", "/roberta.large.tar.gz"), ("palbert_bert_base", "google-bert/bert-base-uncased"),
        ("palbert_mpnet", "sentence-transformers/all-mpnet-base-v2"), ("palbert_albert_base", "albert/albert-base-v2"),
        ("palbert_albert_xlarge_v1", "albert/albert-xlarge-v1"),
    ])
    def test_of_an_architecture(self, experiment, stand_in, arch, name):
        stand_in.arch = arch
        experiment(stop_stage=1, arch=arch)
        if name.startswith("/"):
            assert name in stand_in.find("preprocess.download")[0]
        else:
            assert f"checkpoints.convert {name} " in stand_in.find("checkpoints.convert")[0]

    def test_every_architecture_has_one_or_starts_from_scratch(self):
        archs = [f"palbert_{family}" + (f"_{preset}" if preset else "") for family, of in pretrained.FAMILIES.items()
                 for preset in ("", *of.presets)]
        for arch in archs:
            pretrained.check_arch(arch)
            assert (pretrained.usual_checkpoint(arch) == "none") == arch.endswith("_tiny")

    def test_what_is_downloaded_is_not_kept(self, experiment, stand_in, tmp_path):
        stand_in.arch = "palbert_roberta_base"
        experiment(stop_stage=1, arch="palbert_roberta_base", vocab_dir=None)
        archive, vocabulary = (call.split(" --out ")[1].split()[0] for call in stand_in.find("preprocess.download"))
        converted, = stand_in.find("checkpoints.convert")
        assert f"{archive} --out" in converted and converted.endswith(f"--vocab {vocabulary}")
        left = sorted(path.name for path in (tmp_path / "runs" / "pretrained").iterdir())
        assert len(left) == 2 and left[1] == left[0] + ".lock" and left[0].startswith("roberta.base-")

    @pytest.mark.parametrize("values", [{}, {"arch": "palbert_bert_tiny"},
                                        {"arch": "palbert_bert_base", "pretrained": "none"}])
    def test_from_scratch(self, experiment, stand_in, values):
        experiment(stop_stage=4, **values)
        assert "finetune-from-model" not in stand_in.trained and not stand_in.find("checkpoints.convert")

    @pytest.mark.parametrize("arch, folder", [("palbert_bert_tiny", "bert"), ("palbert_roberta_tiny", "gpt2_bpe")])
    def test_from_scratch_takes_the_family_s_vocabulary(self, experiment, stand_in, tmp_path, arch, folder):
        vocabularies = tmp_path / "vocab"
        experiment(stop_stage=2, arch=arch, run_dir="without")
        (vocabularies / folder).mkdir()
        experiment(stop_stage=2, arch=arch)
        without, within = stand_in.find("preprocess.data")
        assert f"--vocab {vocabularies} " in without and f"--vocab {vocabularies / folder} " in within


class TestHyperparameters:
    def test_albert_as_palbert(self, experiment, stand_in):
        """3668 examples in batches of 32 are 115 updates an epoch; 25 epochs are 2875."""
        stand_in.arch = "palbert_albert_base"
        experiment(stop_stage=4, pretrained="a/b")
        flags = stand_in.trained
        expected = {"lr": "1e-5", "lambda-lr": "1e-5", "batch-size": "32", "weight-decay": "0.0", "dropout": "0.0",
                    "patience": "5"}
        assert {name: flags[name] for name in expected} == expected
        assert flags["max-update"] == "2875" and flags["warmup-updates"] == "0" and "prior-lambda" not in flags

    def test_the_task_s_come_before_those_of_all(self, experiment, stand_in):
        stand_in.arch = "palbert_bert_minilm_l6"
        for task, epochs in (("RTE", "4"), ("MNLI", "3")):
            experiment(task=task, stop_stage=4, pretrained="a/b", run_dir=task)
            assert stand_in.trained["max-epoch"] == epochs

    def test_epochs_count_the_examples_that_are_trained_on(self, experiment, stand_in):
        """50 of 3668 examples in batches of 32 are 2 updates an epoch."""
        experiment(stop_stage=4, pretrained="a/b", train_examples=50)
        flags = stand_in.trained
        assert flags["train-examples"] == "50" and flags["total-num-update"] == flags["max-update"] == "6"

    def test_vanilla(self, experiment, stand_in):
        experiment(pretrained="a/b", method="vanilla")
        flags = stand_in.trained
        assert flags["criterion"] == "multi_exit_classification"
        assert flags["layer-weights"] == "last" and flags["lambda-module"] == "none"
        assert not {"beta", "prior-lambda", "lambda-lr"} & set(flags)
        assert stand_in.find("fairseq_palbert.evaluation")[0].endswith("--exit fixed:7")

    def test_detokenize(self, experiment, stand_in):
        experiment(stop_stage=2, detokenize=True)
        assert "--detokenize" in stand_in.find("preprocess.data")[0]
        with pytest.raises(UserError, match="other settings"):
            experiment()


class TestOwnCheckpoints:
    @pytest.fixture
    def trained(self, settings, tmp_path):
        """Returns the checkpoint of an RTE run that started from an MNLI run.

        The MNLI run started from a converted folder. The checkpoints hold only what ``describe`` reads.
        """
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
        assert found == pretrained.Start("palbert_bert", trained, tmp_path / "converted",
                                         ("--encoder-layers", "3", "--activation-fn", "relu"))

    def test_are_used_as_they_are(self, trained, experiment, stand_in, tmp_path):
        experiment(stop_stage=4, pretrained="rte.pt")
        assert not stand_in.find("checkpoints.convert")
        assert f"--vocab {tmp_path / 'converted'} " in stand_in.find("preprocess.data")[0]
        trained_by, = stand_in.find("fairseq-train")
        assert "--arch palbert_bert --encoder-layers 3 --activation-fn relu --dropout" in trained_by
        assert stand_in.trained["finetune-from-model"] == str(trained)

    def test_others_are_not_described(self, tmp_path):
        torch.save({"args": None, "model": {}}, tmp_path / "stock.pt")
        (tmp_path / "broken.pt").write_text("no checkpoint")
        assert pretrained.describe(tmp_path / "stock.pt") is None
        assert pretrained.describe(tmp_path / "broken.pt") is None
        assert pretrained.describe(tmp_path) is None
