"""Mutated model folders and inputs: the unaltered answers, or one line, and nothing else."""

import json
import os
import random
import shutil

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.serving import PalbertPredictor
from fairseq_palbert.serving.cli import main

MUTATIONS = int(os.environ.get("MUTATIONS", 15))  # of each kind
VALUES = [None, True, -1, 0, 1, 2, 10**6, 10**12, 0.5, float("nan"), "", "x", [], {}, [1], {"a": 1}]


def mutated_bytes(content: bytes, drawn: random.Random) -> bytes:
    first = drawn.randrange(len(content) + 1)
    end = min(len(content), first + drawn.choice([1, 1, 2, 8, 100, 4096]))
    piece = content[first:end]
    return content[:first] + drawn.choice([
        lambda: bytes(len(piece)), lambda: bytes([value ^ 1 << drawn.randrange(8) for value in piece[:1]]) + piece[1:],
        lambda: b"", lambda: piece * 2, lambda: drawn.randbytes(len(piece)), lambda: piece[::-1],
        lambda: content[:100],
    ])() + (content[end:] if drawn.random() < 0.8 else b"")


def mutated_json(content: bytes, drawn: random.Random) -> bytes:
    """With another value, or without the value, somewhere in the tree."""
    tree = json.loads(content)
    place = tree
    while True:
        key = drawn.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not place[key] or not isinstance(place[key], dict | list) or drawn.random() < 0.3:
            break
        place = place[key]
    if drawn.random() < 0.2:
        del place[key]
    else:
        place[key] = drawn.choice(VALUES)
    return json.dumps(tree).encode()


@pytest.mark.parametrize("name, mutated", [
    ("config.json", mutated_json), ("config.json", mutated_bytes), ("model.safetensors", mutated_bytes),
    ("tokenizer.json", mutated_json), ("tokenizer.json", mutated_bytes), ("dict.txt", mutated_bytes),
])
def test_a_mutated_model_folder_is_refused_or_gives_the_same_answers(exported, texts, tmp_path, name, mutated):
    sound, folder = exported("SST-2"), tmp_path / "model"
    shutil.copytree(sound, folder)
    answers = PalbertPredictor.from_pretrained(sound).predict(texts)
    for seed in range(MUTATIONS):
        (folder / name).write_bytes(mutated((sound / name).read_bytes(), random.Random(seed)))
        try:
            assert PalbertPredictor.from_pretrained(folder).predict(texts) == answers, seed
        except UserError:
            pass


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_a_mutated_input_is_answered_row_by_row_or_refused(exported, texts, tmp_path, capsys, form):
    predictor = PalbertPredictor.from_pretrained(exported("SST-2"))
    lines = texts[1:6] if form == "tsv" else [json.dumps({"sentence": text}) for text in texts[1:6]]
    content = "".join(line + "\n" for line in (["sentence"] if form == "tsv" else []) + lines).encode()
    path = tmp_path / f"input.{form}"
    for seed in range(MUTATIONS):
        path.write_bytes(mutated_bytes(content, random.Random(seed)))
        try:
            main([str(exported("SST-2")), str(path), "--exit", "fixed:1"])
        except UserError:
            continue
        finally:
            out = capsys.readouterr().out.splitlines()
        given = path.read_text().removeprefix("\ufeff").split("\n")
        given = [line.removesuffix("\r") for line in (given if given[-1] else given[:-1])]
        if form == "tsv":
            read, labels = given[1:], [line.split("\t")[1] for line in out[1:]]
        else:
            read, labels = [json.loads(line)["sentence"] for line in given], [json.loads(line)["label"] for line in out]
        assert labels == [answer.label for answer in predictor.predict(read, "fixed:1")], seed
