"""Speed and memory of palbert predict on a stream of generated sentences.

Sentences of 1 to 60 words go into it through a pipe. The model is a tiny random one with a vocabulary of 512. The
resident memory of the process is read many times a second, and is to stay flat.

    recipes/benchmark_predict.sh

Inputs:    none.
Variables: SENTENCES (default 1000000), OMP_NUM_THREADS (default: the number of cores).
Outputs:   one JSON object on stdout: seconds, sentences per second, resident MiB after each tenth of the sentences, its
           peaks by the end of the first tenth and after it, and their ratio.
Hardware:  the CPU, 0.5 GiB.
Duration:  about 2 minutes on 2 cores.
Expected:  a ratio of at most 1.10; else exit status 1.
"""

import json
import os
import random
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import torch

from fairseq_palbert.checkpoints.formats.model_folder import ModelCard, write_model
from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch
from fairseq_palbert.modules.encoder import Encoder, EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape, PonderingClassifier
from fairseq_palbert.tokenization import Vocabulary
from fairseq_palbert.tokenization.identity import identity_of
from preprocess.cues import BLAME, EMPHASES, NEGATIONS, NEUTRAL, NOUNS, PRAISE
from preprocess.train_bpe import train_bpe
from recipes.command_line import parser, whole_number

WORDS = (*NOUNS, *PRAISE, *BLAME, *NEUTRAL, *NEGATIONS, *EMPHASES, "and", ",", ".")
LONGEST, MEAN = 60, 15  # words of a sentence
MOST_GROWTH = 1.10
INTERVAL = 0.02  # seconds between two readings of the memory
MIB = 2**20


def sentence(generator: random.Random) -> str:
    return " ".join(generator.choices(WORDS, k=min(LONGEST, 1 + int(generator.expovariate(1 / MEAN)))))


def write_tiny_model(folder: Path, vocabulary_folder: Path) -> None:
    generator = random.Random(0)
    train_bpe([sentence(generator) for _ in range(2000)], vocabulary_folder, 512)
    vocabulary = Vocabulary(vocabulary_folder)
    torch.manual_seed(1)
    encoder = Encoder(EncoderShape(len(vocabulary), padding_id=1, separator_id=2, max_positions=128, layers=4,
                                   hidden=32, ffn_hidden=64, heads=2, first_position=2))
    identity = identity_of(vocabulary)
    vocabulary.save(folder)
    write_model(folder, PonderingClassifier(encoder, HeadsShape(outputs=2)), ModelCard(
        "roberta", "SST-2", ["0", "1"], 128, identity.tokenizer, identity.dictionary, prior=None, updates=0))


def feed(pipe: BinaryIO, count: int) -> None:
    """Write the header and ``count`` generated sentences to the pipe, and close it."""
    generator = random.Random(1)
    with pipe:
        pipe.write(b"sentence\n")
        for _ in range(count):
            pipe.write(sentence(generator).encode() + b"\n")


class Memory(threading.Thread):
    """Reads the resident memory of a process until it ends, in MiB.

    ``latest``: the newest value. ``peak``: the largest since the peak was last taken.
    """

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.path, self.latest, self.peak = Path(f"/proc/{pid}/statm"), 0.0, 0.0
        self.start()

    def run(self) -> None:
        with suppress(OSError):  # the process has ended
            while pages := self.path.read_text(encoding="utf-8").split():
                self.latest = int(pages[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
                self.peak = max(self.peak, self.latest)
                time.sleep(INTERVAL)

    def take_peak(self) -> float:
        peak, self.peak = self.peak, self.latest
        return peak


def main() -> None:
    parser("benchmark_predict.sh", __doc__).parse_args()
    sentences = whole_number("SENTENCES", 1_000_000, least=10)
    with TemporaryDirectory() as work:
        folders = Path(work, "model"), Path(work, "vocabulary")
        for folder in folders:
            folder.mkdir()
        write_tiny_model(*folders)
        measure(folders[0], sentences)


def measure(model: Path, sentences: int) -> None:
    """Raises UserError where the memory grows."""
    process = subprocess.Popen(launch.python("fairseq_palbert", "predict", model), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    threading.Thread(target=feed, args=(process.stdin, sentences), daemon=True).start()
    memory = Memory(process.pid)
    process.stdout.readline()  # names the columns
    tenth, by_tenth, peaks, start = sentences // 10, [], [], time.perf_counter()
    for answered, line in enumerate(process.stdout, 1):
        assert line.startswith(b"%d\t" % (answered - 1)), "answers must come in the order of the input"
        if answered % tenth == 0:
            by_tenth.append(round(memory.latest, 1))
            peaks.append(memory.take_peak())
    seconds = time.perf_counter() - start
    if process.wait() or len(peaks) < 10:
        raise UserError(f"palbert predict ended with status {process.returncode} after {len(peaks)} tenths of the "
                        "sentences")
    growth = max(peaks[1:]) / peaks[0]
    print(json.dumps({
        "sentences": sentences, "seconds": round(seconds, 1),
        "sentences_per_second": round(sentences / seconds, 1),
        "mib_by_tenth": by_tenth, "peak_mib_in_first_tenth": round(peaks[0], 1),
        "peak_mib_after": round(max(peaks[1:]), 1), "growth": round(growth, 3), "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }))
    if growth > MOST_GROWTH:
        raise UserError(f"the memory of palbert predict grew by {growth - 1:.1%} after the first tenth: at most "
                        f"{MOST_GROWTH - 1:.0%} is allowed")


if __name__ == "__main__":
    run(main)
