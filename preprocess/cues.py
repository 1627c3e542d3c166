"""Cues: a generated task in GLUE's TSV format whose sentences come in stated degrees of difficulty.

A sentence lists 3 to 5 phrases of one form, "MODIFIER ADJECTIVE NOUN". An adjective praises, blames or is neutral; a
modifier negates it or only emphasises. The label is 1 where the sentence, on the whole, praises:

1. one adjective judges, and nothing is negated: that word decides
   ("very loud music , quite good plot and very new hero ." praises);
2. one adjective judges, and it alone is negated: the negation flips it
   ("very loud music , never good plot and very new hero ." blames);
3. three adjectives judge, one of them is negated, and so may the neutral ones be: the majority decides
   ("very dull music , not bad plot and quite funny hero , never long ending ." praises).

The labels of a degree are even, and the number of words says nothing of label or degree. No sentence occurs twice, in
one split or in two. The column ``degree`` is for the reader of the results: models see ``sentence`` alone.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_palbert.command import run
from fairseq_palbert.files import written_folder
from fairseq_palbert.glue.definitions import Split, glue_task
from fairseq_palbert.tsv import read_rows

from .train_bpe import train_bpe

# The parts of the degrees. Were they even, a word of praise would stand about as often for blame: no single word would
# tell anything, and training would hardly get off the ground.
SHARES = (1, 1, 1, 1, 2, 2, 3, 3)
PHRASES = (3, 4, 5)
MAJORITY_OF = 3
VOCABULARY = 512  # tokens: every word becomes one or few

NOUNS = ("plot", "cast", "story", "ending", "music", "script", "hero", "sound")
PRAISE = ("good", "great", "lovely", "brilliant", "charming", "funny", "clever", "moving")
BLAME = ("bad", "awful", "dull", "boring", "clumsy", "stale", "tedious", "ugly")
NEUTRAL = ("long", "short", "loud", "quiet", "new", "old", "foreign", "local")
NEGATIONS = ("not", "never")
EMPHASES = ("very", "quite")
JOINTS = (" and ", " , ")


@dataclass(frozen=True)
class Example:
    sentence: str
    label: int
    degree: int


def examples(rows: int, rng: random.Random, seen: set[str]) -> list[Example]:
    """``rows`` sentences that are not in ``seen``, which they join, in random order; every pair of degree and label
    has its share, the first pairs one more where the shares do not come out even."""
    kinds = [(degree, label) for degree in SHARES for label in (0, 1)]
    drawn = []
    for row in range(rows):
        degree, label = kinds[row % len(kinds)]
        sentence = next(s for s in _sentences(degree, label, rng) if s not in seen)
        seen.add(sentence)
        drawn.append(Example(sentence, label, degree))
    rng.shuffle(drawn)
    return drawn


def _sentences(degree: int, label: int, rng: random.Random) -> Iterator[str]:
    while True:
        count = rng.choice(PHRASES)
        said = _judging_phrases(degree, label, rng)
        modifiers = NEGATIONS + EMPHASES if degree == 3 else EMPHASES
        said += [(rng.choice(modifiers), rng.choice(NEUTRAL)) for _ in range(count - len(said))]
        rng.shuffle(said)
        sentence = ""
        for noun, (modifier, adjective) in zip(rng.sample(NOUNS, count), said):
            sentence += (rng.choice(JOINTS) if sentence else "") + f"{modifier} {adjective} {noun}"
        yield sentence + " ."


def _judging_phrases(degree: int, label: int, rng: random.Random) -> list[tuple[str, str]]:
    """(modifier, adjective) of the phrases that judge; together they praise where ``label`` is 1."""
    if degree < 3:
        return [_judgement(label, degree == 2, rng)]
    minds = [1 - label] * rng.choice((0, 1))
    minds += [label] * (MAJORITY_OF - len(minds))
    negated = [True] + [False] * (MAJORITY_OF - 1)
    rng.shuffle(negated)
    return [_judgement(*judgement, rng) for judgement in zip(minds, negated)]


def _judgement(mind: int, negated: bool, rng: random.Random) -> tuple[str, str]:
    """A phrase that praises where ``mind`` is 1: an adjective of praise, or one of blame with a negation."""
    return (rng.choice(NEGATIONS if negated else EMPHASES), rng.choice(PRAISE if mind != negated else BLAME))


def write_task(folder: Path, seed: int) -> None:
    """train.tsv, dev.tsv and test.tsv, as many rows as the table of tasks says. The same seed gives the same bytes."""
    rng, seen = random.Random(seed), set()
    for split in glue_task("Cues").splits:
        _write_split(folder / split.file, split, examples(split.rows, rng, seen))


def _write_split(path: Path, split: Split, rows: list[Example]) -> None:
    """GLUE's layouts: sentence and label where there are labels, index and sentence where there are none; and the
    degree."""
    if split.labelled:
        lines = ["sentence\tlabel\tdegree"] + [f"{row.sentence}\t{row.label}\t{row.degree}" for row in rows]
    else:
        lines = ["index\tsentence\tdegree"] + [f"{i}\t{row.sentence}\t{row.degree}" for i, row in enumerate(rows)]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m preprocess.cues", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True,
                        help="folder for raw/Cues (train.tsv, dev.tsv, test.tsv) and vocab/gpt2_bpe (a BPE of "
                             "train.tsv)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default: %(default)s)")
    options = parser.parse_args(argv)
    raw, vocabulary = options.out / "raw" / "Cues", options.out / "vocab" / "gpt2_bpe"
    with written_folder(raw) as folder:
        write_task(folder, options.seed)
    with written_folder(vocabulary) as folder:
        sentences = [sentence for sentence, in read_rows(raw / "train.tsv", ("sentence",), "generate it again")]
        train_bpe(sentences, folder, VOCABULARY)


if __name__ == "__main__":
    run(main)
