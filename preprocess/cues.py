"""Cues: a generated task in GLUE's TSV format whose sentences come in stated degrees of difficulty.

A sentence is 3 to 5 clauses of one form, "the NOUN is MODIFIER ADJECTIVE". An adjective praises, blames or is neutral;
a modifier negates or only emphasises. The label is 1 where the sentence, on the whole, praises:

1. one adjective judges, with no negation in the sentence: that word decides ("the plot is quite old and the cast is very
   good and ...");
2. one adjective judges, and is negated: the negation flips it, while other negations touch neutral adjectives alone or
   nothing;
3. three adjectives judge, each negated or not: the majority decides, and one of the three is always of the other mind.

Labels and degrees are balanced in every split, and the number of words says nothing of either. No sentence occurs
twice, in one split or in two. The column ``degree`` is for the reader of the results: models see ``sentence`` alone.
"""

import argparse
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fairseq_palbert.errors import UserError
from fairseq_palbert.glue.tasks import Split, glue_task

DEGREES = (1, 2, 3)
CLAUSES = (3, 4, 5)
MAJORITY_OF = 3

NOUNS = ("plot", "cast", "story", "ending", "music", "script", "scene", "pace", "camera", "dialogue", "hero", "villain",
         "title", "sound", "setting", "opening")
PRAISE = ("good", "great", "lovely", "brilliant", "charming", "funny", "clever", "moving", "fresh", "superb", "warm",
          "witty", "gripping", "elegant", "honest", "bright")
BLAME = ("bad", "awful", "dull", "boring", "clumsy", "stale", "tedious", "ugly", "bland", "weak", "silly", "sloppy",
         "shallow", "hollow", "lifeless", "messy")
NEUTRAL = ("long", "short", "early", "late", "loud", "quiet", "new", "old", "red", "blue", "foreign", "local", "usual",
           "modern", "rural", "urban")
NEGATIONS = ("not", "never", "hardly")
EMPHASES = ("very", "quite", "really")
JOINTS = (" and ", " , ", " while ")


@dataclass(frozen=True)
class Example:
    sentence: str
    label: int
    degree: int


def examples(rows: int, rng: random.Random, seen: set[str]) -> list[Example]:
    """``rows`` sentences that are not in ``seen``, which they join, in random order; every pair of degree and label has its
    share, the first pairs one more where the shares do not come out even."""
    kinds = [(degree, label) for degree in DEGREES for label in (0, 1)]
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
        clauses = rng.choice(CLAUSES)
        judging = _judging_clauses(degree, label, rng)
        modifiers = EMPHASES if degree == 1 else NEGATIONS + EMPHASES
        neutral = [(rng.choice(modifiers), rng.choice(NEUTRAL)) for _ in range(clauses - len(judging))]
        said = judging + neutral
        rng.shuffle(said)
        nouns = rng.sample(NOUNS, clauses)
        sentence = ""
        for noun, (modifier, adjective) in zip(nouns, said):
            sentence += (rng.choice(JOINTS) if sentence else "") + f"the {noun} is {modifier} {adjective}"
        yield sentence + " ."


def _judging_clauses(degree: int, label: int, rng: random.Random) -> list[tuple[str, str]]:
    """(modifier, adjective) of the clauses that make the label."""
    if degree == 1:
        return [_judgement(label, False, rng)]
    if degree == 2:
        return [_judgement(label, True, rng)]
    majority = MAJORITY_OF // 2 + 1
    minds = [label] * majority + [1 - label] * (MAJORITY_OF - majority)
    return [_judgement(mind, rng.random() < 0.5, rng) for mind in minds]


def _judgement(mind: int, negated: bool, rng: random.Random) -> tuple[str, str]:
    """A clause that praises where ``mind`` is 1: an adjective of praise, or one of blame with a negation."""
    return (rng.choice(NEGATIONS if negated else EMPHASES), rng.choice(PRAISE if mind != negated else BLAME))


def write_task(folder: Path, seed: int) -> None:
    """train.tsv, dev.tsv and test.tsv, as many rows as the table of tasks says. The same seed gives the same bytes."""
    rng, seen = random.Random(seed), set()
    folder.mkdir(parents=True, exist_ok=True)
    for split in glue_task("Cues").splits:
        _write_split(folder / split.file, split, examples(split.rows, rng, seen))


def _write_split(path: Path, split: Split, rows: list[Example]) -> None:
    """GLUE's layouts: sentence and label where there are labels, index and sentence where there are none; and the degree."""
    if split.labelled:
        lines = ["sentence\tlabel\tdegree"] + [f"{row.sentence}\t{row.label}\t{row.degree}" for row in rows]
    else:
        lines = ["index\tsentence\tdegree"] + [f"{i}\t{row.sentence}\t{row.degree}" for i, row in enumerate(rows)]
    partial = path.with_name(path.name + ".part")
    partial.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    os.replace(partial, path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m preprocess.cues", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for train.tsv, dev.tsv and test.tsv")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        write_task(arguments.out, arguments.seed)
    except OSError as error:
        raise UserError(f"cannot write the task to {arguments.out}: {error.strerror}") from error


if __name__ == "__main__":
    main()
