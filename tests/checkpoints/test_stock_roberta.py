"""Tests of converting fairseq's own RoBERTa.

The model is a masked language model that fairseq-train trains here for two updates.
"""

import shutil
import tarfile
import warnings
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fairseq_palbert.checkpoints.convert import convert
from fairseq_palbert.checkpoints.formats import stock_roberta
from fairseq_palbert.checkpoints.formats.checkpoint_file import read_checkpoint
from fairseq_palbert.errors import UserError

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def vocabulary(write_vocabulary, tmp_path_factory):
    folder = tmp_path_factory.mktemp("vocabulary")
    write_vocabulary("roberta", folder)
    return folder


@pytest.fixture(scope="module")
def archive(vocabulary, tmp_path_factory):
    """Returns a folder of model.pt and dict.txt, the files of an unpacked public archive."""
    folder = tmp_path_factory.mktemp("stock")
    train_masked_lm(vocabulary / "dict.txt", folder)
    shutil.copy(vocabulary / "dict.txt", folder / "dict.txt")
    return folder


@pytest.fixture
def packed(archive, tmp_path):
    with tarfile.open(tmp_path / "roberta.tiny.tar.gz", "w:gz") as file:
        for name in ("model.pt", "dict.txt"):
            file.add(archive / name, f"roberta.tiny/{name}")
    return tmp_path / "roberta.tiny.tar.gz"


def test_every_layer_agrees(archive, vocabulary, network_of, make_batch, tmp_path, monkeypatch):
    monkeypatch.setenv("VOCAB_DIR", str(vocabulary))
    conversion = convert(archive, tmp_path / "out")
    assert conversion["arch"] == "palbert_roberta"
    assert "network.pooler.copies.0.bias" in conversion["tensors"]["initialised"]
    assert all(name.startswith("encoder.lm_head.") or name == "encoder.sentence_encoder.version"
               for name in conversion["tensors"]["dropped"])
    network, stock = network_of(tmp_path / "out"), load_masked_lm(archive, vocabulary / "dict.txt")
    tokens = make_batch(network.encoder.shape.vocabulary, separators=2)
    with torch.no_grad():
        _, extra = stock(tokens, features_only=True, return_all_hiddens=True)
        batch = network.padded(tokens)
        hidden = network.embed(batch)
        for n, theirs in enumerate(extra["inner_states"]):
            hidden = network.step(n, hidden, batch) if n else hidden
            assert (batch.pad(hidden) - theirs.transpose(0, 1))[tokens.ne(1)].abs().max() <= TOLERANCE
    assert n == network.depth


def test_packed_unpacked_and_alone_are_the_same(archive, packed, vocabulary, tmp_path):
    weights = []
    for i, source in enumerate((archive, packed, archive / "model.pt")):
        convert(source, tmp_path / str(i), vocab=vocabulary)
        weights.append(torch.load(tmp_path / str(i) / "model.pt", weights_only=True)["model"])
    for other in weights[1:]:
        assert weights[0].keys() == other.keys() and all(torch.equal(weights[0][name], other[name]) for name in other)


def test_needs_its_own_vocabulary(archive, vocabulary, write_vocabulary, tmp_path, monkeypatch):
    monkeypatch.delenv("VOCAB_DIR", raising=False)
    with pytest.raises(UserError, match="brings no vocabulary: name its folder by --vocab"):
        convert(archive, tmp_path / "out")
    other = tmp_path / "other"
    shutil.copytree(vocabulary, other)
    lines = (other / "dict.txt").read_text().splitlines(keepends=True)
    (other / "dict.txt").write_text("".join([lines[1], lines[0], *lines[2:]]))
    with pytest.raises(UserError, match="line 1 of its dict.txt is"):
        convert(archive, tmp_path / "out", vocab=other)
    write_vocabulary("bert", tmp_path / "bert")
    with pytest.raises(UserError, match="line 1 of its dict.txt is"):
        convert(archive, tmp_path / "out", vocab=tmp_path / "bert")


@pytest.mark.parametrize("change, message", [
    (lambda state: state["model"].pop("encoder.sentence_encoder.layers.1.fc1.bias"), "has no tensor layers.1.fc1.bias"),
    (lambda state: state["model"].update({"encoder.sentence_encoder.layer_norm.bias": torch.zeros(3)}),
     "has a tensor layer_norm.bias in its encoder"),
    (lambda state: state["model"].clear(), "holds no RoBERTa of fairseq"),
    (lambda state: state["cfg"]["model"].update(activation_fn="linear"), "activation_fn is 'linear'"),
    (lambda state: state["cfg"]["model"].update(encoder_layers=10**7), "layers is 10000000, and should be"),
    (lambda state: state["cfg"]["model"].update(encoder_layers=200), "has 28 tensors, too few for 200 layers"),
    (lambda state: state["cfg"]["model"].update(encoder_embed_dim="__import__('os').abort()"), "hidden is .__import"),
    (lambda state: state["cfg"]["model"].update(dropout=float("nan")), "dropout is nan"),
    (lambda state: state["model"]["encoder.sentence_encoder.layers.1.fc1.bias"].fill_(float("inf")), "NaN or infinite"),
    (lambda state: state["cfg"]["model"].update(encoder_layers=None), "does not say its encoder_layers"),
    (lambda state: state["cfg"]["model"].update(no_scale_embedding=False), "scales its embeddings"),
    (lambda state: state["cfg"]["model"].update(encoder_ffn_embed_dim=7),
     "layers.0.fc1.weight is 24 x 16 of float32"),
])
def test_what_does_not_fit_is_refused(archive, vocabulary, tmp_path, change, message):
    state = read_checkpoint(str(archive / "model.pt"))
    change(state)
    torch.save(state, tmp_path / "changed.pt")
    with pytest.raises(UserError, match=message):
        convert(tmp_path / "changed.pt", tmp_path / "out", vocab=vocabulary)


@pytest.mark.parametrize("member", ["roberta.tiny/model.pt", "roberta.tiny/NOTE"])
def test_an_archive_of_zeros_is_not_unpacked(vocabulary, tmp_path, member, monkeypatch):
    path = tmp_path / "roberta.zeros.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo(member)
        info.size = 64 * 2**20
        file.addfile(info, open("/dev/zero", "rb"))
    monkeypatch.setattr(stock_roberta, "copyfileobj", pytest.fail)
    with pytest.raises(UserError, match="cannot be unpacked: its files are more than 20 times its own size"):
        convert(path, tmp_path / "out", vocab=vocabulary)
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_is_refused(packed, vocabulary, tmp_path):
    packed.write_bytes(packed.read_bytes()[:999])
    with pytest.raises(UserError, match="cannot be unpacked"):
        convert(packed, tmp_path / "out", vocab=vocabulary)


def test_our_own_checkpoint_is_ready_as_it_is(archive, vocabulary, tmp_path):
    convert(archive, tmp_path / "out", vocab=vocabulary)
    with pytest.raises(UserError, match="is a checkpoint of this plugin already"):
        convert(tmp_path / "out" / "model.pt", tmp_path / "again", vocab=vocabulary)


def train_masked_lm(dictionary: Path, folder: Path) -> None:
    """Runs ``fairseq-train --task masked_lm`` in this process, and writes model.pt into ``folder``."""
    from fairseq import options
    from fairseq.data import Dictionary
    from fairseq.data.indexed_dataset import make_builder
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq_cli.train import main as train

    words = Dictionary.load(str(dictionary))
    words.save(str(folder / "dict.txt"))
    builder = make_builder(str(folder / "train.bin"), "mmap", vocab_size=len(words))
    for row in range(16):
        builder.add_item(torch.tensor([*range(4 + row, 12 + row), words.eos()], dtype=torch.int32))
    builder.finalize(str(folder / "train.idx"))
    arguments = options.parse_args_and_arch(options.get_training_parser(), [
        str(folder), "--task", "masked_lm", "--criterion", "masked_lm", "--arch", "roberta_base", "--encoder-layers",
        "2",
        "--encoder-embed-dim", "16", "--encoder-ffn-embed-dim", "24", "--encoder-attention-heads", "2", "--optimizer",
        "adam",
        "--lr", "0.1", "--batch-size", "4", "--tokens-per-sample", "16", "--sample-break-mode", "none", "--max-update",
        "2",
        "--cpu", "--disable-validation", "--save-dir", str(folder / "checkpoints"), "--num-workers", "0",
        "--required-batch-size-multiple", "1", "--no-epoch-checkpoints"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fairseq uses a deprecated call of Hydra
        train(convert_namespace_to_omegaconf(arguments))
    (folder / "checkpoints" / "checkpoint_last.pt").rename(folder / "model.pt")


def load_masked_lm(folder: Path, dictionary: Path):
    from fairseq.data import Dictionary
    from fairseq.models.roberta import RobertaModel

    words = Dictionary.load(str(dictionary))
    words.add_symbol("<mask>")
    state = read_checkpoint(str(folder / "model.pt"))
    args = Namespace(**state["cfg"]["model"])
    model = RobertaModel.build_model(args, SimpleNamespace(source_dictionary=words)).eval()
    model.load_state_dict(state["model"])
    return model
