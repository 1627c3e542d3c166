"""Fixtures for tests of serving: exported small random models, and sentences."""

import random
from pathlib import Path

import pytest
import torch
from torch import nn

from fairseq_palbert.checkpoints.formats.model_folder import ModelCard, write_model
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.identity import identity_of
from preprocess.train_bpe import train_bpe

MAX_POSITIONS = 24  # in tokens; some of the pairs have more
WORDS = "the a cat dog zebra sat on mat hat isn't very 12 345 naïve and , . !".split()


def random_texts(count: int, seed: int) -> list[str]:
    """Returns texts of 0 to 11 words, of which the first is empty."""
    drawn = random.Random(seed)
    return [" ".join(drawn.choices(WORDS, k=place and drawn.randint(0, 11))) for place in range(count)]


@pytest.fixture(scope="session")
def texts():
    return random_texts(60, 1)


@pytest.fixture(scope="session")
def pairs(texts):
    return list(zip(texts, random_texts(60, 2)))


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory) -> Vocabulary:
    folder = tmp_path_factory.mktemp("bpe")
    train_bpe(random_texts(60, 1), folder, 290)
    return Vocabulary(folder)


@pytest.fixture(scope="session")
def exported(vocabulary, tmp_path_factory):
    """exported("RTE") returns the folder of a random model of that task.

    Its weights are an order of magnitude wider than for training, so that answers depend on the sentence at every
    layer.
    """
    made = {}

    def export(task_name: str) -> Path:
        if task_name not in made:
            task, folder = packaged_task(task_name), tmp_path_factory.mktemp(task_name)
            torch.manual_seed(0)
            encoder = Encoder(EncoderShape(len(vocabulary), 1, 2, MAX_POSITIONS, 5, 16, 32, 2, first_position=2))
            network = PonderingClassifier(encoder, HeadsShape(outputs=task.outputs)).eval()
            for name, parameter in network.named_parameters():
                if parameter.dim() == 2:
                    nn.init.normal_(parameter, std=(2 if "lambda_module" in name else 1) * parameter.shape[1] ** -0.5)
            vocabulary.save(folder)
            identity = identity_of(vocabulary)
            write_model(folder, network,
                        ModelCard("roberta", task_name, list(task.labels), MAX_POSITIONS, identity.tokenizer,
                                                   identity.dictionary, None, 7))
            made[task_name] = folder
        return made[task_name]

    return export
