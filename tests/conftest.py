"""Shared fixtures: toy data, a small vocabulary, and the real data that a machine may have.

Real data is found only through GLUE_DIR, SUPERGLUE_DIR, OTHER_DATA_DIR and VOCAB_DIR. Real encoders are found through
ENCODERS_DIR, which defaults to the folder of recipes/encoders.sh.
"""

import logging
import os
import random
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

import fairseq_palbert.plugin  # noqa: F401  registers our classes, as in fairseq's commands

pytest_plugins = ["tests.fixtures.checkpoints", "tests.fixtures.compositions", "tests.fixtures.networks",
                  "tests.fixtures.own_task", "tests.fixtures.parity", "tests.fixtures.raw_glue",
                  "tests.fixtures.raw_superglue", "tests.fixtures.recorded_runs", "tests.fixtures.vocabularies"]

settings.register_profile("any_machine", deadline=None)  # on a busy machine any example may be slow
settings.load_profile("any_machine")

TOY_WORDS = 50
TOY_SIZES = {"train": 203, "valid": 51, "test": 20}


def pytest_collection_modifyitems(items) -> None:
    """Begin with the last folder: a worker takes whole files, and the longest ones, of tokenization, must not be left
    for the end."""
    items.sort(key=lambda item: item.path, reverse=True)


def _folder(variable: str) -> Path:
    """Returns the folder that the variable names. Skips where it is unset; fails where it names no folder."""
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is unset: no real data for this test")
    folder = Path(value)
    assert folder.is_dir(), f"{variable}={value} is not a folder"
    return folder


@pytest.fixture
def full_disk():
    """with full_disk(size): no file can grow beyond ``size`` bytes, not even pytest's log."""

    @contextmanager
    def limited(size: int):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    return limited


def _folders(variable: str):
    """Returns find(name): the folder ``name`` below the variable's folder; the test is skipped where it is missing."""

    def find(name: str) -> Path:
        folder = _folder(variable) / name
        if not folder.is_dir():
            pytest.skip(f"{variable} has no {name}")
        return folder

    return find


@pytest.fixture(scope="session")
def glue_dir():
    """``glue_dir("RTE")`` is the folder of that task's raw TSVs; the test is skipped where it is not there."""
    return _folders("GLUE_DIR")


@pytest.fixture(scope="session")
def superglue_dir():
    """``superglue_dir("CB")`` is the folder of that task's JSON lines; the test is skipped where it is not there."""
    return _folders("SUPERGLUE_DIR")


@pytest.fixture(scope="session")
def other_dir():
    """``other_dir("TREC")`` is the folder of that data set outside GLUE and SuperGLUE; the test is skipped where it is
    not there."""
    return _folders("OTHER_DATA_DIR")


@pytest.fixture(scope="session")
def vocab_dir():
    """``vocab_dir("gpt2_bpe")`` is the folder of that vocabulary; the test is skipped where it is not there."""
    return _folders("VOCAB_DIR")


@pytest.fixture(scope="session")
def encoder_dir():
    """``encoder_dir("all-mpnet-base-v2")`` is the folder of those real weights; the test is skipped where they are
    not there."""

    def find(name: str) -> Path:
        folder = Path(os.environ.get("ENCODERS_DIR") or Path(__file__).parents[1] / "runs" / "encoders") / name
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there: no real weights for this test; recipes/encoders.sh brings them")
        return folder

    return find


@pytest.fixture(scope="session")
def small_vocabulary(tmp_path_factory) -> Path:
    """Returns the folder of a byte-level BPE of 294 pieces."""
    from preprocess.train_bpe import train_bpe

    folder = tmp_path_factory.mktemp("vocabulary")
    text = ["the cat sat on the mat", "a dog, a zebra and the cat's hat", "it isn't the 12 or 345 dogs"]
    train_bpe(text * 3, folder, 300)
    return folder


@pytest.fixture(scope="session")
def fairseq_ids():
    """fairseq_ids(folder) returns a function from a sentence to the ids that fairseq gives it with that vocabulary."""

    def build(folder: Path):
        from fairseq.data import Dictionary
        from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

        encoder = get_encoder(str(folder / "encoder.json"), str(folder / "vocab.bpe"))
        dictionary = Dictionary.load(str(folder / "dict.txt"))

        def ids(sentence: str) -> list[int]:
            line = " ".join(map(str, encoder.encode(sentence.strip())))
            return dictionary.encode_line(line, add_if_not_exist=False).tolist()

        return ids

    return build


@pytest.fixture(scope="session")
def make_toy_data():
    """make_toy_data(folder, task, sizes, seed, tokenizer) writes a binarized data folder of a GLUE task and returns it.

    Its random sentences have 1 to 12 tokens, and the label follows the share of odd ids in the first sentence. The test
    split has no labels. With a ``tokenizer`` record the folder is one of our preprocessing, with glue.json. Without it
    the folder is one of fairseq's, with preprocess.log. The label dictionary counts the labels of train.
    """

    def make(folder: Path, task_name: str, sizes: dict[str, int] = TOY_SIZES, seed: int = 0,
             tokenizer: dict | None = None, detokenized: bool = False) -> Path:
        from fairseq.data import Dictionary

        from fairseq_palbert.definitions.packaged import packaged_task
        from fairseq_palbert.tasks.provenance import write_provenance

        task = packaged_task(task_name)
        words, labels = Dictionary(), Dictionary()
        for i in range(TOY_WORDS):
            words.add_symbol(f"w{i}")
        for label in task.labels:
            labels.add_symbol(label, n=0)
        parts = {f"input{i}": words for i in range(len(task.sentences))} | {"label": labels}
        for part, dictionary in parts.items():
            (folder / part).mkdir(parents=True)
            dictionary.save(str(folder / part / "dict.txt"))
            if tokenizer is None:
                (folder / part / "preprocess.log").touch()
        rng = random.Random(seed)
        for split, rows in sizes.items():
            sentences = {
                part: [[rng.randrange(words.nspecial, len(words)) for _ in range(rng.randint(1, 12))]
                       for _ in range(rows)]
                for part in parts if part != "label"
            }
            for part, sentence_list in sentences.items():
                _write(folder / part / split, sentence_list, words)
            odd = [sum(token % 2 for token in sentence) / len(sentence) for sentence in sentences["input0"]]
            if split == "test":
                continue
            if task.regression:
                (folder / "label" / f"{split}.label").write_text("".join(f"{5 * part}\n" for part in odd))
            else:
                ids = [min(int(part * len(task.labels)), len(task.labels) - 1) for part in odd]
                _write(folder / "label" / split, [[labels.nspecial + i] for i in ids], labels)
                if split == "train":
                    for i in ids:
                        labels.add_symbol(task.labels[i])
        labels.save(str(folder / "label" / "dict.txt"))
        if tokenizer is not None:
            write_provenance(folder, {"task": task_name, "tokenizer": tokenizer, "detokenized": detokenized})
        return folder

    return make


def _write(prefix: Path, rows: list[list[int]], dictionary) -> None:
    import torch
    from fairseq.data.indexed_dataset import make_builder

    builder = make_builder(f"{prefix}.bin", "mmap", vocab_size=len(dictionary))
    for row in rows:
        builder.add_item(torch.tensor([*row, dictionary.eos()], dtype=torch.int32))
    builder.finalize(f"{prefix}.idx")


@pytest.fixture(autouse=True)
def fairseq_s_own_functions_again(monkeypatch):
    """Restores fairseq's functions after each test: tasks and models replace them, see compat.fairseq_trainer."""
    # after the plugin, which keeps the import of fairseq quiet
    from fairseq import checkpoint_utils, progress_bar, trainer

    monkeypatch.setattr(checkpoint_utils, "load_checkpoint_to_cpu", checkpoint_utils.load_checkpoint_to_cpu)
    monkeypatch.setattr(trainer, "NanDetector", trainer.NanDetector)
    monkeypatch.setattr(progress_bar, "SummaryWriter", progress_bar.SummaryWriter)


@pytest.fixture(autouse=True)
def quiet_libraries():
    """Keeps the logging level at WARNING, because importing fairseq enables every library's debug lines."""
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    yield
    logging.getLogger().setLevel(level)
