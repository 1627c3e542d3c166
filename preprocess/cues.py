"""Generate the task Cues, which has three degrees of difficulty.

The files have GLUE's TSV format. A sentence has 3 to 5 phrases of the form "MODIFIER ADJECTIVE NOUN". An adjective is
positive (PRAISE), negative (BLAME) or neutral. A modifier negates the adjective or emphasises it. The label is 1 where
the sentence as a whole is positive. The degrees:

1. one adjective is not neutral, and nothing is negated: the label is that of the adjective
   ("very loud music , quite good plot and very new hero ." is positive);
2. one adjective is not neutral, and it alone is negated: the negation flips the label
   ("very loud music , never good plot and very new hero ." is negative);
3. three adjectives are not neutral, one of them is negated, and neutral ones may be negated: the majority decides
   ("very dull music , not bad plot and quite funny hero , never long ending ." is positive).

In each degree both labels are equally frequent, and the number of words depends on neither label nor degree. No
sentence occurs twice, within a split or across splits. Models see the column ``sentence`` alone; ``degree`` is for
analysis of the results.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_palbert.command import run
from fairseq_palbert.definitions.definition import Split
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.files import written_folder
from fairseq_palbert.numbers_from_text import LARGEST_SEED, check_range, integer
from fairseq_palbert.tsv import read_rows

from .train_bpe import train_bpe

# The degrees in their proportions. With equal proportions a positive word would occur about as often under either
# label: no single word would be informative, and training would hardly start.
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
    """``rows`` new sentences in random order, which are added to ``seen``.

    Pairs of degree and label follow the proportions ``SHARES``. Where these do not divide ``rows``, the first pairs get
    one more sentence.
    """
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
        phrases = _polar_phrases(degree, label, rng)
        modifiers = NEGATIONS + EMPHASES if degree == 3 else EMPHASES
        phrases += [(rng.choice(modifiers), rng.choice(NEUTRAL)) for _ in range(count - len(phrases))]
        rng.shuffle(phrases)
        sentence = ""
        for noun, (modifier, adjective) in zip(rng.sample(NOUNS, count), phrases):
            sentence += (rng.choice(JOINTS) if sentence else "") + f"{modifier} {adjective} {noun}"
        yield sentence + " ."


def _polar_phrases(degree: int, label: int, rng: random.Random) -> list[tuple[str, str]]:
    """(modifier, adjective) of the phrases that are not neutral, whose majority has the polarity ``label``."""
    if degree < 3:
        return [_polar_phrase(label, degree == 2, rng)]
    polarities = [1 - label] * rng.choice((0, 1))
    polarities += [label] * (MAJORITY_OF - len(polarities))
    negated = [True] + [False] * (MAJORITY_OF - 1)
    rng.shuffle(negated)
    return [_polar_phrase(*phrase, rng) for phrase in zip(polarities, negated)]


def _polar_phrase(polarity: int, negated: bool, rng: random.Random) -> tuple[str, str]:
    """A phrase that is positive where ``polarity`` is 1: a positive adjective, or a negated negative one."""
    return (rng.choice(NEGATIONS if negated else EMPHASES), rng.choice(PRAISE if polarity != negated else BLAME))


def write_task(folder: Path, seed: int) -> None:
    """Writes train.tsv, dev.tsv and test.tsv with the official numbers of rows; a seed fixes every byte."""
    rng, seen = random.Random(seed), set()
    for split in packaged_task("Cues").splits:
        _write_split(folder / split.source.file, split, examples(split.rows, rng, seen))


def _write_split(path: Path, split: Split, rows: list[Example]) -> None:
    """Writes GLUE's columns, sentence and label or, without labels, index and sentence; and the column degree."""
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
    parser.add_argument("--seed", type=integer, default=1,
                        help="the same seed gives the same files (default: %(default)s)")
    options = parser.parse_args(argv)
    check_range("--seed", options.seed, 0, LARGEST_SEED)
    raw, vocabulary = options.out / "raw" / "Cues", options.out / "vocab" / "gpt2_bpe"
    with written_folder(raw) as folder:
        write_task(folder, options.seed)
    with written_folder(vocabulary) as folder:
        sentences = [sentence for sentence, in read_rows(raw / "train.tsv", ("sentence",), "generate it again")]
        train_bpe(sentences, folder, VOCABULARY)


if __name__ == "__main__":
    run(main)
