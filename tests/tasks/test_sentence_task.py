"""Tests of fairseq's task for these models: splits, batches, labels, metrics and refusals."""

import json
import shutil

import numpy as np
import pytest
import torch
from fairseq import metrics
from fairseq.data import Dictionary
from omegaconf import OmegaConf

from fairseq_palbert.definitions.metrics import References
from fairseq_palbert.errors import UserError
from fairseq_palbert.tasks.provenance import write_provenance
from fairseq_palbert.tasks.sentence_task import SentenceConfig, SentenceTask


@pytest.fixture(scope="module")
def folders(make_toy_data, tmp_path_factory):
    base = tmp_path_factory.mktemp("toy")
    return {name: make_toy_data(base / name, name) for name in ("SST-2", "MRPC", "STS-B", "MNLI")}


RECORD = {"name": "wordpiece", "separators": 1, "sha256": "91bc" * 16}


def make_task(folder, name, **options):
    options = {"valid_subset": "valid", "ignore_unused_valid_subsets": False, "seed": 1, **options}
    return SentenceTask.setup_task(OmegaConf.structured(SentenceConfig(data=str(folder), glue_task=name, **options)))


def batches(task, split, **options):
    dataset = task.load_dataset(split)
    iterator = task.get_batch_iterator(dataset, max_sentences=16, required_batch_size_multiple=8, **options)
    return list(iterator.next_epoch_itr(shuffle=False))


@pytest.mark.parametrize("split, rows", [("train", 203), ("valid", 51), ("test", 20)])
def test_no_example_is_dropped(folders, split, rows):
    ids = torch.cat([batch["id"] for batch in batches(make_task(folders["SST-2"], "SST-2"), split)])
    assert sorted(ids.tolist()) == list(range(rows))


def test_a_pair_is_marked_as_roberta_has_it_and_padded_on_the_right(folders):
    task = make_task(folders["MRPC"], "MRPC")
    batch = batches(task, "valid")[-1]
    begin, pad, end = task.source_dictionary.bos(), task.source_dictionary.pad(), task.source_dictionary.eos()
    for tokens, length in zip(batch["net_input"]["src_tokens"], batch["net_input"]["src_lengths"]):
        assert tokens[0] == begin and tokens[length - 1] == end and (tokens[length:] == pad).all()
        first_end = tokens.tolist().index(end)
        assert tokens[first_end + 1] == end and (tokens[:length] == end).sum() == 3


@pytest.mark.parametrize("name, marks", [("MRPC", 3), ("SST-2", 2)])
def test_the_tokenizer_of_the_data_says_how_a_pair_is_marked(make_toy_data, tmp_path, name, marks):
    task = make_task(make_toy_data(tmp_path / "data", name, tokenizer=RECORD), name, max_positions=12)
    dataset = task.load_dataset("valid")
    tokens = [dataset[i]["tokens"] for i in range(len(dataset))]
    assert all((row < 4).sum() == marks and row[0] == 0 and row[-1] == 2 for row in tokens)
    assert [len(row) for row in tokens] == dataset.sizes.tolist() and dataset.sizes.max() == 12


def test_long_examples_are_truncated_and_counted(folders):
    task = make_task(folders["MRPC"], "MRPC", max_positions=12)
    dataset = task.load_dataset("valid")
    full = make_task(folders["MRPC"], "MRPC").load_dataset("valid")
    assert dataset.truncated == (full.sizes > 12).sum() > 0
    assert (dataset.sizes == np.minimum(full.sizes, 12)).all()
    assert all(len(dataset[i]["tokens"]) == dataset.sizes[i] for i in range(len(dataset)))


def test_training_order_changes_by_epoch_and_repeats_by_seed(folders):
    task = make_task(folders["SST-2"], "SST-2")
    dataset = task.load_dataset("train")

    def order(epoch, seed=1):
        iterator = task.get_batch_iterator(dataset, max_sentences=16, seed=seed, epoch=epoch)
        return torch.cat([batch["id"] for batch in iterator.next_epoch_itr(shuffle=False)]).tolist()

    assert order(1) == order(1) != order(2)
    assert order(1) != order(1, seed=5)


def test_training_batches_are_random_and_hold_similar_lengths_on_demand(make_toy_data, tmp_path):
    folder = make_toy_data(tmp_path / "data", "MRPC", {"train": 2000})
    padding = {}
    for pool in (1, 50):
        train = batches(make_task(folder, "MRPC", length_pool=pool), "train")
        tokens = sum(batch["ntokens"] for batch in train)
        padding[pool] = sum(batch["net_input"]["src_tokens"].numel() for batch in train) / tokens
        assert sorted(i for batch in train for i in batch["id"].tolist()) == list(range(2000))
    assert padding[50] < 1.1 and padding[1] > 1.3


def test_holdout_and_train_share_the_training_set(folders):
    task = make_task(folders["STS-B"], "STS-B", holdout_fraction=0.1, valid_subset="holdout")
    train, holdout = task.load_dataset("train"), task.load_dataset("holdout")
    assert sorted([*train.ids, *holdout.ids]) == list(range(203)) and len(holdout) == 20
    other_seed = make_task(folders["STS-B"], "STS-B", holdout_fraction=0.1, seed=9, valid_subset="holdout")
    assert (other_seed.load_dataset("holdout").ids == holdout.ids).all()


def test_the_holdout_has_two_parts_for_the_gate_and_for_thresholds(folders):
    """The first 20 rows of the shuffle are held out: 15 rows for the gate, then 5 rows for calibration."""
    task = make_task(folders["SST-2"], "SST-2", holdout_fraction=0.1, valid_subset="holdout", train_examples=9)
    gate, calibration, holdout, train = (task.load_dataset(split).ids.tolist()
                                         for split in ("gate", "calibration", "holdout", "train"))
    order = np.random.RandomState(0).permutation(203)
    assert gate == sorted(order[:15]) and calibration == sorted(order[15:20]) and holdout == sorted(order[:20])
    assert train == sorted(order[20:29])
    assert sorted(calibration) == sorted(i for batch in batches(task, "calibration") for i in batch["id"].tolist())


def test_training_on_some_rows_takes_them_by_a_shuffle_that_no_seed_changes(folders, caplog):
    options = {"holdout_fraction": 0.1, "valid_subset": "holdout"}
    with caplog.at_level("INFO"):
        task = make_task(folders["SST-2"], "SST-2", train_examples=40, **options)
        some, holdout = (task.load_dataset(split).ids for split in ("train", "holdout"))
    assert "SST-2 train: 40 examples of the 203 rows of train, by a seeded shuffle" in caplog.text
    assert len(some) == 40 and not set(some) & set(holdout) and len(holdout) == 20 and some.max() > 100
    other_seed = make_task(folders["SST-2"], "SST-2", train_examples=40, seed=9, **options)
    assert (other_seed.load_dataset("train").ids == some).all()
    assert set(some) < set(make_task(folders["SST-2"], "SST-2", train_examples=41, **options).load_dataset("train").ids)
    batch_ids = torch.cat([batch["id"] for batch in batches(task, "train")])
    assert sorted(batch_ids.tolist()) == some.tolist()
    assert len(make_task(folders["SST-2"], "SST-2", train_examples=40).load_dataset("valid")) == 51


@pytest.mark.parametrize("fraction, sizes", [(0.1, (15, 5)), (0.5, (76, 26)), (0.02, (3, 1))])
def test_the_holdout_is_the_gates_part_and_the_calibrations(folders, fraction, sizes):
    task = make_task(folders["SST-2"], "SST-2", holdout_fraction=fraction)
    train, holdout, gate, calibration = (task.load_dataset(split).ids.tolist() for split in
                                         ("train", "holdout", "gate", "calibration"))
    assert (len(gate), len(calibration)) == sizes and sorted(gate + calibration) == holdout
    assert sorted(train + holdout) == list(range(203))
    assert len(batches(task, "gate")) == -(-len(gate) // 16), "trained on in batches of random order"


def test_the_variance_of_scores_is_over_all_of_train(folders):
    task = make_task(folders["STS-B"], "STS-B", holdout_fraction=0.5)
    scores = task.load_dataset("train").split.targets
    assert len(scores) > len(task.datasets["train"])
    assert task.target_variance == pytest.approx(((scores - scores.mean()) ** 2).mean().item())


@pytest.mark.parametrize("rows, options", [(10, {}), (10, {"train_examples": 1}), (1, {})])
def test_a_holdout_that_leaves_no_row_to_train_on_is_refused(make_toy_data, tmp_path, rows, options):
    folder = make_toy_data(tmp_path / "data", "SST-2", {"train": rows})
    task = make_task(folder, "SST-2", holdout_fraction=0.96, **options)
    assert len(task.load_dataset("holdout")) == rows
    with pytest.raises(UserError, match="the split 'train' is empty: lower --holdout-fraction 0.96, such as to 0.1"):
        task.load_dataset("train")


def test_more_training_examples_than_there_are_is_refused(folders):
    options = {"holdout_fraction": 0.1, "valid_subset": "holdout"}
    assert len(make_task(folders["SST-2"], "SST-2", train_examples=183, **options).load_dataset("train")) == 183
    with pytest.raises(UserError, match="--train-examples 184: .* has 183 rows to train on"):
        make_task(folders["SST-2"], "SST-2", train_examples=184, **options).load_dataset("train")


def test_targets_are_class_ids_of_the_label_order(folders):
    splits = ("valid", "valid1")
    usual = make_task(folders["MNLI"], "MNLI", ignore_unused_valid_subsets=True).load_dataset("valid")
    order = "contradiction,neutral,entailment"
    swapped = make_task(folders["MNLI"], "MNLI", label_order=order, valid_subset=",".join(splits)).load_dataset("valid")
    assert (swapped.split.targets == 2 - usual.split.targets).all()
    assert set(usual.split.targets.tolist()) == {0, 1, 2}


def test_label_ids_do_not_depend_on_the_order_of_the_label_dictionary(make_toy_data, tmp_path):
    """fairseq's own script orders labels by their frequency."""
    folder = make_toy_data(tmp_path / "data", "SST-2")
    usual = make_task(folder, "SST-2").load_dataset("valid").split.targets
    usual_order = Dictionary.load(str(folder / "label" / "dict.txt"))
    by_frequency = Dictionary()
    for label, counted in (("1", "0"), ("0", "1"), ("madeupword0000", "madeupword0000")):
        by_frequency.add_symbol(label, usual_order.count[usual_order.index(counted)] if counted in "01" else 0)
    by_frequency.save(str(folder / "label" / "dict.txt"))
    assert (make_task(folder, "SST-2").load_dataset("valid").split.targets == 1 - usual).all()


def test_scores_of_fairseqs_own_script_are_brought_to_the_scale_of_glue(make_toy_data, tmp_path, caplog):
    folder = make_toy_data(tmp_path / "data", "STS-B")
    usual = make_task(folder, "STS-B").load_dataset("valid").split.targets
    assert usual.dtype == torch.float64 and usual.max() > 1
    for path in (folder / "label").glob("*.label"):
        path.write_text("".join(f"{float(line) / 5}\n" for line in path.read_text().split()))
    with caplog.at_level("INFO"):
        assert torch.allclose(make_task(folder, "STS-B").load_dataset("valid").split.targets, usual, atol=1e-12)
    assert "multiplied by 5" in caplog.text
    write_provenance(folder, {"task": "STS-B", "tokenizer": RECORD, "detokenized": False})
    assert make_task(folder, "STS-B").load_dataset("valid").split.targets.max() <= 1


def break_label(folder):
    path = folder / "label" / "dict.txt"
    path.write_text(path.read_text().replace("1 ", "2 ", 1))


def sealed(**changes):
    """Returns a function that writes a glue.json, correct but for ``changes``."""
    content = {"task": "SST-2", "tokenizer": RECORD, "detokenized": False} | changes
    return lambda folder: write_provenance(folder, content)


def put(name: str, content: str):
    return lambda folder: (folder / name).write_text(content)


EARLIER = {"task": "SST-2", "tokenizer": RECORD, "detokenized": False}  # of an earlier version, without digests
DAMAGE = {
    "input0/dict.txt: No such file": lambda folder: (folder / "input0" / "dict.txt").unlink(),
    "is no fairseq dictionary": put("input0/dict.txt", "one two three\n"),
    "line 2 is not a word and its count": put("input0/dict.txt", "one 1\n\n"),
    "valid.idx: No such file": lambda folder: (folder / "input0" / "valid.idx").unlink(),
    "label/valid.bin: No such file": lambda folder: (folder / "label" / "valid.bin").unlink(),
    "no labels of split 'valid'": lambda folder: [path.unlink() for path in (folder / "label").glob("valid.*")],
    "has label '2'": break_label,
    "glue.json: not JSON": put("glue.json", "{"),
    "holds RTE, not SST-2": sealed(task="RTE"),
    "tokenizer is": sealed(tokenizer={"name": "gpt2_bpe", "sha256": {"dict.txt": "00"}}),
    "detokenized is": sealed(detokenized="no"),
    "is no JSON object": put("glue.json", "[]"),
    "task is None": put("glue.json", "{}"),
    "sha256 is None": put("glue.json", json.dumps(EARLIER | {"files": {}})),
    "files is None": put("glue.json", json.dumps(EARLIER | {"sha256": "00"})),
    "changed since it was written": put("glue.json", json.dumps(EARLIER | {"files": {}, "sha256": "00"})),
    "glue.json: No such file": lambda folder: (folder / "input0" / "preprocess.log").unlink(),
    "holds sentence pairs": lambda folder: (folder / "input1").mkdir(),
    "51 and 203 rows": lambda folder: [shutil.copy(folder / "label" / f"train.{end}", folder / "label" / f"valid.{end}")
                                       for end in ("bin", "idx")],
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_a_damaged_folder_is_refused_in_one_line(make_toy_data, tmp_path, reason):
    folder = make_toy_data(tmp_path / "data", "SST-2")
    DAMAGE[reason](folder)
    with pytest.raises(UserError) as error:
        make_task(folder, "SST-2").load_dataset("valid")
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_data_of_an_earlier_version_has_no_digests(make_toy_data, tmp_path):
    folder = make_toy_data(tmp_path / "data", "SST-2")
    put("glue.json", json.dumps(EARLIER))(folder)
    assert len(make_task(folder, "SST-2").load_dataset("valid")) == 51
    (folder / "input0" / "valid.bin").write_bytes(b"")
    with pytest.raises(UserError, match="tokens are cut"):
        make_task(folder, "SST-2").load_dataset("valid")


SCORES = {"'five' is no number": "1.0\nfive\n", "outside 0..5": "1.0\n5.5\n", "'' is no number": "",
          "'٣' is no number": "1.0\n٣\n", "' 2.5' is no number": " 2.5\n", "'nan' is no number": "nan\n"}


@pytest.mark.parametrize("reason", SCORES)
def test_damaged_scores_are_refused(make_toy_data, tmp_path, reason):
    folder = make_toy_data(tmp_path / "data", "STS-B")
    (folder / "label" / "valid.label").write_text(SCORES[reason])
    with pytest.raises(UserError, match=reason):
        make_task(folder, "STS-B").load_dataset("valid")


OPTIONS = {
    "unknown task 'SST2'": {"name": "SST2"},
    "does not say of which task: add --glue-task": {"name": None},
    "no such data folder": {"folder": "nowhere"},
    "the labels 0, 2 are not those of SST-2: 0, 1: check --glue-task or --label-order": {"label_order": "0,2"},
    "--holdout-fraction 1.5": {"holdout_fraction": 1.5},
    "--train-examples 0": {"train_examples": 0},
    "--length-pool 0": {"length_pool": 0},
    "--max-positions 4": {"max_positions": 4},
    "pass --valid-subset valid,valid1": {"name": "MNLI"},
}


@pytest.mark.parametrize("reason", OPTIONS)
def test_contradictory_options_are_refused(folders, reason):
    options = {"name": "SST-2", **OPTIONS[reason]}
    folder = options.pop("folder", folders[options["name"] if options["name"] in folders else "SST-2"])
    with pytest.raises(UserError) as error:
        make_task(folder, **options)
    assert reason in str(error.value)


@pytest.mark.parametrize("lengths", [(203, 51), (51, 51)])
def test_regression_is_scored_on_several_validation_splits_in_turn(folders, lengths):
    """fairseq sums the logs of all splits under the name "valid", and reads each split's score from its own
    aggregator."""
    class Criterion:
        reduce_metrics = staticmethod(lambda logs: None)

    task = make_task(folders["STS-B"], "STS-B")
    scores = []
    for length in lengths:
        targets, ids = torch.arange(9.0), torch.arange(9)
        outputs = targets[:, None] * (-1) ** len(scores)
        log = {"statistics": task.metrics.statistics(outputs, References(targets), ids, length), "ntokens": 1,
               "nsentences": 1, "loss": 1.0}
        with metrics.aggregate(new_root=True) as own, metrics.aggregate("valid of a test"):
            task.reduce_metrics([log], Criterion())
        scores.append(own.get_smoothed_values()["score"])
    assert scores == pytest.approx([1, -1])


def test_an_empty_holdout_and_too_small_max_tokens_are_refused(folders):
    task = make_task(folders["SST-2"], "SST-2")
    for split in ("holdout", "gate", "calibration"):
        with pytest.raises(UserError, match=f"the split '{split}' is empty: set --holdout-fraction"):
            task.load_dataset(split)
    with pytest.raises(UserError, match="--max-tokens 5 is less than the longest example"):
        task.get_batch_iterator(task.load_dataset("valid"), max_tokens=5)


@pytest.mark.parametrize("counts", ["text", {}, {"best": "SEEDS[$(touch made)]", "num_runs": 1},
                                    {"best": 0.5, "num_runs": None}])
def test_damaged_counts_for_patience_are_refused(folders, counts):
    with pytest.raises(UserError, match="counts for --patience are damaged"):
        make_task(folders["SST-2"], "SST-2", patience=3).set_checkpoint_dict({"patience": counts})
