"""Tests of hostile checkpoints: damaged, inflating and code-bearing files are refused in one line."""

import io
import json
import re
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from fairseq_palbert.checkpoints import training_state
from fairseq_palbert.checkpoints.convert import convert
from fairseq_palbert.checkpoints.export import export_hugging_face, export_model
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import pretrained
from tests.fixtures.processes import run_python

ROOT = Path(__file__).parents[2]
ROUTES = ("evaluate", "export", "export to transformers", "convert", "resume", "pretrained")


@pytest.fixture(scope="module")
def sound(toy):
    return toy("RTE")[0]


@pytest.fixture
def altered(sound, tmp_path):
    """altered(change) saves the sound checkpoint after change(its content), and returns the path."""

    def save(change):
        state = torch.load(sound, weights_only=True)
        change(state)
        torch.save(state, tmp_path / "altered.pt")
        return tmp_path / "altered.pt"

    return save


@pytest.fixture
def read_by(toy, small_vocabulary, tmp_path):
    """read_by(route, path) reads a checkpoint as a command does."""
    data = str(toy("RTE")[1])

    def resume(path):
        (tmp_path / "resumed").mkdir()
        (tmp_path / "resumed" / "checkpoint_last.pt").write_bytes(path.read_bytes())
        training_state.resume(tmp_path / "resumed")
        if not (tmp_path / "resumed" / "checkpoint_last.pt").exists():
            raise UserError("nothing to resume from")

    def start(path):
        """Takes the first two steps of an experiment whose ``pretrained`` is ``path``."""
        return pretrained.describe(path) or convert(path, tmp_path / "converted", small_vocabulary)

    routes = {
        "evaluate": lambda path: load_model(path, data, None),
        "export": lambda path: export_model(path, small_vocabulary, tmp_path / "model"),
        "export to transformers": lambda path: export_hugging_face(path, small_vocabulary, tmp_path / "theirs"),
        "convert": lambda path: convert(path, tmp_path / "converted", small_vocabulary),
        "resume": resume,
        "pretrained": start,
    }
    return lambda route, path: routes[route](path)


def zeros_in_tensors(content: bytes) -> bytes:
    """Returns the content with 4 KiB of zeros inside the largest tensor."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    part = max(archive.infolist(), key=lambda part: part.file_size)
    start = part.header_offset + len(part.FileHeader()) + 512
    return content[:start] + bytes(4096) + content[start + 4096:]


def deflated(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, source.read(part))
    return packed.getvalue()


DAMAGES = {
    "zeros in tensors": (zeros_in_tensors, "is damaged .wrong CRC"),
    "half of it": (lambda content: content[:len(content) // 2], "cannot be read as a checkpoint"),
    "nothing": (lambda content: b"", "cannot be read as a checkpoint"),
    "text": (lambda content: b"\xff\xfe Dear diary", "cannot be read as a checkpoint"),
    "compressed": (deflated, "its parts are compressed"),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused(sound, read_by, tmp_path, damage, route, capsys):
    change, message = DAMAGES[damage]
    path = tmp_path / "damaged.pt"
    path.write_bytes(change(sound.read_bytes()))
    with pytest.raises(UserError) as error:
        read_by(route, path)
    assert re.search(message, f"{error.value} {capsys.readouterr().err}")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(altered, read_by, route, value, capsys):
    path = altered(lambda state: state["model"]["network.encoder.layers.1.fc1.bias"].fill_(value))
    with pytest.raises(UserError) as error:
        read_by(route, path)
    assert "fc1.bias has numbers that are NaN or infinite" in f"{error.value} {capsys.readouterr().err}"


def hostile(code: str, user_dir: str) -> dict:
    """Returns hostile configurations by name, each as updates of the parts of a sound one.

    fairseq's own functions would evaluate or import many of their values.
    """
    return {
        "wav2vec2": {"model": {"_name": "wav2vec2", "conv_feature_layers": code}},
        "wav2vec": {"model": {"_name": "wav2vec", "conv_feature_layers": code, "conv_aggregator_layers": code}},
        "hubert": {"model": {"_name": "hubert", "conv_feature_layers": code}},
        "fconv": {"model": {"_name": "fconv", "encoder_layers": code, "decoder_attention": code}},
        "transformer_lm": {"model": {"_name": "transformer_lm", "character_filters": code,
                                     "character_embeddings": True}},
        "roberta": {"model": {"_name": "roberta", "encoder_layers": code}},
        "ctc": {"criterion": {"_name": "ctc", "wer_args": code}},
        "another task": {"task": {"_name": "audio_pretraining", "post_save_script": code}},
        "user_dir": {"common": {"user_dir": user_dir}, "model": {"user_dir": user_dir}, "task": {"user_dir": user_dir}},
        "a flag": {"model": {"encoder_layers": f"4\n--user-dir\n{user_dir}"}},
        "an interpolation": {"model": {"encoder_layers": "${oc.decode:${oc.env:HOME}}", "pooling": "${oc.env:HOME}"}},
        "code in a setting": {"model": {"encoder_layers": code, "activation_fn": code, "dropout": code}},
        "code in a prior": {"criterion": {"prior": code, "prior_lambda": code}},
        "code in the task": {"task": {"glue_task": code, "label_order": code, "max_positions": code}},
        "code in the rates": {"optimization": {"lr": [code]}, "common": {"seed": code}},
        "lists in lists": {"model": {"encoder_layers": nested()}, "common": {"seed": nested()}},
        "no settings": {"model": "palbert_roberta_tiny", "task": 7, "criterion": [code]},
    }


def nested() -> list:
    """Returns a list that takes 2^60 steps to print."""
    value = []
    for _ in range(60):
        value = [value, value]
    return value


HARMLESS = {"user_dir"}  # user_dir is ignored


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", hostile("", ""))
def test_nothing_in_a_configuration_is_evaluated(altered, read_by, tmp_path, name, route):
    marker, user_dir = tmp_path / "marker", tmp_path / "plugin"
    user_dir.mkdir()
    (user_dir / "__init__.py").write_text(f"open({str(marker)!r}, 'w')")
    code = f"[(1, 1, 1)] if open({str(marker)!r}, 'w') else []"

    def change(state):
        for part, values in hostile(code, str(user_dir))[name].items():
            state["cfg"][part] = state["cfg"][part] | values if isinstance(values, dict) else values

    path = altered(change)
    try:
        read_by(route, path)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000
    else:
        assert route != "evaluate" or name in HARMLESS
    assert not marker.exists()


@pytest.mark.parametrize("name", ["wav2vec2", "ctc", "another task"])
def test_fairseq_validate_builds_nothing_but_our_models(altered, toy, tmp_path, name):
    marker = tmp_path / "marker"
    code = f"[(1, 1, 1)] if open({str(marker)!r}, 'w') else []"
    path = altered(lambda state: [state["cfg"][part].update(values)
                                  for part, values in hostile(code, "")[name].items()])
    done = run_python(
        [Path(sys.executable).with_name("fairseq-validate"), toy("RTE")[1], "--user-dir", ROOT / "fairseq_palbert",
         "--path", path, "--cpu", "--task", "glue", "--glue-task", "RTE", "--batch-size", "20"], cwd=tmp_path)
    assert done.returncode == 1 and not marker.exists()
    assert done.stderr.splitlines()[-1].startswith(f"fairseq_palbert: error: {path}: "), done.stderr


@pytest.mark.parametrize("change, message", [
    ({"encoder_layers": 4.0}, "encoder_layers is 4.0"), ({"encoder_layers": True}, "encoder_layers is True"),
    ({"encoder_layers": [4]}, r"encoder_layers is \[4\]"), ({"encoder_layers": 10**7}, "layers is 10000000"),
    ({"encoder_layers": 250}, "too few for 250 layers"), ({"encoder_attention_heads": 3}, "divisible by heads 3"),
    ({"encoder_norm_eps": float("nan")}, "encoder_norm_eps is nan"), ({"encoder_norm_eps": -1.0}, "norm_eps is -1"),
    ({"activation_fn": "swish"}, "activation is 'swish'"), ({"pooling": "max"}, "pooling is 'max'"),
    ({"lambda_depth": 10**8}, "lambda_depth is 100000000"), ({"per_layer_pooler": "yes"}, "per_layer_pooler is 'yes'"),
    ({"encoder_embed_dim": 2**40}, "hidden is 1099511627776"), ({"_name": "palbert_gpt"}, "but palbert_gpt"),
    ({"_name": ["palbert_bert"]}, "palbert_FAMILY, but"), ({"_name": "palbert_bert_none"}, "but palbert_bert_none"),
])
def test_a_setting_of_another_type_or_size_is_refused(altered, read_by, change, message):
    path = altered(lambda state: state["cfg"]["model"].update(change))
    with pytest.raises(UserError, match=message):
        read_by("evaluate", path)


@pytest.mark.parametrize("part, change, message", [
    ("criterion", {"_name": "label_smoothed_cross_entropy"}, "--criterion label_smoothed"),
    ("criterion", {"prior": "poisson"}, "prior is 'poisson'"), ("criterion", {"prior_lambda": 7.0}, "prior-lambda 7"),
    ("criterion", {"prior_lambda": float("nan")}, "prior_lambda is nan"),
    ("task", {"label_order": 7}, "label_order is 7"),
    ("task", {"max_positions": "512"}, "max_positions is '512'"),
    ("task", {"max_positions": 513}, "max_positions 513 is more than the encoder has, 512"),
    ("task", {"holdout_fraction": 1.5}, "holdout_fraction is 1.5"),
    ("optimization", {"lr": []}, "lr is "), ("common", {"seed": "1"}, "seed is '1'"),
])
def test_a_value_of_another_part_is_refused(altered, read_by, part, change, message):
    path = altered(lambda state: state["cfg"][part].update(change))
    with pytest.raises(UserError, match=message):
        read_by("evaluate", path)


NO_TASK = "is none of the package, and its definition is missing"
OWN = {"name": "mine", "sentences": ["a"], "label": "b", "labels": ["0", "1"], "metric": "accuracy",
       "splits": {"train": "a.csv"}}


@pytest.mark.parametrize("flags, kept, message", [
    ({"glue_task": None}, {}, "names no task"), ({"glue_task": "XYZ"}, {}, f"the task 'XYZ' {NO_TASK}"),
    ({"label_order": "yes,no"}, {}, "the labels yes, no are not those of"),
    ({}, {"task": "XYZ"}, NO_TASK), ({}, {"labels": ["yes", "no"]}, "the labels yes, no are not those of"),
    ({}, {"task": "mine", "definition": {**OWN, "name": "other"}}, "the definition is of the task 'other'"),
    ({}, {"task": "mine", "definition": {**OWN, "metric": "__import__('os')"}}, "choose from accuracy"),
    ({}, {"task": "mine", "definition": {**OWN, "splits": {}}}, "splits names no file"),
    ({}, {"task": "mine", "definition": {**OWN, "labels": "from train"}}, "without labels"),
    ({}, {"task": "mine", "definition": [OWN]}, "task_state.definition is"),
])
def test_a_task_that_is_none_is_refused(altered, read_by, flags, kept, message):
    """The flags name the task, as in checkpoints of earlier versions, or the checkpoint's task_state names it."""
    def change(state):
        for name in ("task", "labels", "definition") if flags else ():
            del state["task_state"][name]
        state["cfg"]["task"].update(flags)
        state["task_state"].update(kept)

    with pytest.raises(UserError, match=re.escape(message)):
        read_by("evaluate", altered(change))


@pytest.mark.parametrize("change, message", [
    (lambda state: state.update(cfg=[]), "it has no task configuration"),
    (lambda state: state.update(cfg="cfg"), "it has no task configuration"),
    (lambda state: state["cfg"].clear(), "it has no task configuration"),
    (lambda state: state.update(task_state=["x"]), "task_state is ['x'], and should be an object"),
    (lambda state: state.update(task_state=torch.zeros(2)), "task_state is tensor"),
    (lambda state: state.update(task_state=nested()), "task_state is [[["),
    (lambda state: state.update(task_state={"dictionary": 7}), "task_state.dictionary is 7, and should be a text"),
    (lambda state: state.update(task_state={"dictionary": nested()}), "task_state.dictionary is [[["),
    (lambda state: state.update(task_state={"tokenizer": {"name": "bpe"}}), "task_state.tokenizer is {'name': 'bpe'}"),
    (lambda state: state.update(optimizer_history=7), "its updates are None"),
    (lambda state: state.update(optimizer_history=[{"num_updates": -1}]), "its updates are -1"),
    (lambda state: state.update(model=nested()), "it has no 'model'"),
    (lambda state: state.update(model=torch.zeros(3)), "it has no 'model'"),
    (lambda state: state["model"].clear(), "is an encoder without a classifier"),
    (lambda state: state["model"].update({"x": [1.0]}), "'x' is no plain tensor"),
    (lambda state: state["model"].update({7: torch.zeros(3)}), "7 is no plain tensor"),
    (lambda state: state["model"].update({"y": torch.zeros(1).expand(10**14)}), "'y' is no plain tensor"),
    (lambda state: state["model"].update({"y": torch.zeros(3).to_sparse()}), "'y' is no plain tensor"),
    (lambda state: state["model"].pop("network.encoder.embed_tokens.weight"), "vocabulary is 0"),
    (lambda state: state["model"].pop("network.encoder.embedding_norm.bias"),
     "it has no network.encoder.embedding_norm.bias"),
    (lambda state: state["model"].update({"encoder.sentence_encoder.embed_tokens.weight": torch.zeros(3, 3)}),
     "the model, which has no encoder.sentence_encoder.embed_tokens.weight"),
    (lambda state: state["model"].update({"network.encoder.embed_tokens.weight": torch.tensor(1.0)}),
     "embed_tokens.weight is a single number"),
])
def test_a_state_of_another_form_is_refused(altered, read_by, change, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read_by("evaluate", altered(change))


@pytest.mark.parametrize("updates", ["SEEDS[$(touch marker)]", "7", 7.5, -1, None, [7], nested(), 2**60])
def test_the_number_of_updates_is_a_number(altered, tmp_path, updates, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = altered(lambda state: state["optimizer_history"][-1].update(num_updates=updates))
    (tmp_path / "checkpoints").mkdir()
    path.rename(tmp_path / "checkpoints" / "checkpoint_last.pt")
    training_state.main(["resume", "checkpoints"])
    told = capsys.readouterr()
    assert told.out == "0\n" and "checkpoint_last.pt does not load" in told.err


class TestFlagsFromFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        """folder(arch, flags) writes the conversion.json of a converted folder, and returns the folder."""

        def write(arch, flags):
            (tmp_path / "conversion.json").write_text(json.dumps({"arch": arch, "flags": flags}))
            return tmp_path

        return write

    def test_those_of_an_encoder_are_made_anew(self, folder):
        flags = ["--encoder-layers", "7", "--encoder-norm-eps", "1e-5", "--activation-fn", "gelu_tanh",
                 "--dropout", "0.0", "--pooling", "mean"]
        found = pretrained.describe(folder("palbert_bert_base", flags))
        assert found.flags == ("--encoder-layers", "7", "--encoder-norm-eps", "1e-05", "--activation-fn", "gelu_tanh",
                               "--dropout", "0.0", "--pooling", "mean")
        assert found.layers == 7

    @pytest.mark.parametrize("flags", [
        ["--user-dir", "plugin"], ["--encoder-layers", "6\n--user-dir\nplugin"], ["--encoder-layers", "--user-dir"],
        ["--encoder-layers", "6", "--user-dir"], ["--encoder-layers"], "--user-dir x",
        ["--pooling", "mean --user-dir x"],
        {"--user-dir": "x"}, [["--user-dir", "x"]], ["--encoder-layers", 6], ["--encoder-layers", "1e3"], None,
        ["--activation-fn", "__import__('os')"], ["--encoder-layers=6", "7"], ["--encoder-layers", "9" * 99],
        ["--lr", "0.1"], ["--encoder-norm-eps", "nan"],
    ])
    def test_all_others_are_refused(self, folder, flags):
        with pytest.raises(UserError, match="conversion.json: "):
            pretrained.describe(folder("palbert_bert_base", flags))

    @pytest.mark.parametrize("arch", ["roberta", "palbert_bert --user-dir x", "palbert_bert\n--user-dir", None, 7,
                                      ["palbert_bert"]])
    def test_the_architecture_is_one_of_ours(self, folder, arch):
        with pytest.raises(UserError, match="conversion.json: arch is"):
            pretrained.describe(folder(arch, []))

    @pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 10**5])
    def test_a_damaged_file_is_refused(self, folder, content):
        source = folder("palbert_bert", [])
        (source / "conversion.json").write_bytes(content)
        with pytest.raises(UserError, match="conversion.json: "):
            pretrained.describe(source)

    @pytest.mark.parametrize("value", ["4\n--user-dir\nplugin", "4", 4.0, True, 10**7, [4], -4])
    def test_those_of_a_checkpoint_are_typed(self, altered, value):
        with pytest.raises(UserError, match="encoder_layers is "):
            pretrained.describe(altered(lambda state: state["cfg"]["model"].update(encoder_layers=value)))

    def test_a_checkpoint_that_started_from_itself_has_no_vocabulary(self, altered, tmp_path):
        itself = {"finetune_from_model": str(tmp_path / "altered.pt")}
        path = altered(lambda state: state["cfg"]["checkpoint"].update(itself))
        assert pretrained.describe(path).vocabulary is None


def test_a_namespace_in_the_place_of_the_settings_is_read_as_they_are(altered, read_by):
    def change(state):
        state["cfg"]["model"] = Namespace(**state["cfg"]["model"])

    assert read_by("evaluate", altered(change)).family == "roberta"
