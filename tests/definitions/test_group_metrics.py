"""Tests of metrics of grouped rows: MultiRC, ReCoRD and AX-g, computed by hand."""

from dataclasses import replace
from statistics import mean

import pytest
import torch
from sklearn.metrics import f1_score

from fairseq_palbert.definitions.definition import Groups
from fairseq_palbert.definitions.metrics import References, TaskMetrics
from fairseq_palbert.definitions.metrics.answer_text import normalised, text_scores, token_f1
from fairseq_palbert.definitions.packaged import packaged_task

ALL, BEST = ("f1", "exact_match", "accuracy", "parity"), ("accuracy", "exact_match", "token_f1")


def metrics_of(answer: str, labels=("no", "yes"), score: str = "mean") -> TaskMetrics:
    return TaskMetrics(replace(packaged_task("RTE"), labels=labels, positive="yes", score=score,
                               metrics=ALL if answer == "all" else BEST, groups=Groups("question", answer, "text")))


def outputs_of(answers: list[int]) -> torch.Tensor:
    return torch.eye(2)[answers]


def both_ways(metrics: TaskMetrics, outputs: torch.Tensor, references: References) -> dict[str, float]:
    """Returns the metrics of all rows, and asserts that the sums of shuffled batches give the same.

    Some rows occur in two batches.
    """
    rows = len(outputs)
    order = torch.cat([torch.randperm(rows), torch.arange(3)])
    sums = sum(metrics.statistics(outputs[ids], References(*(values if values is None else values[ids]
                                                             for values in vars(references).values())), ids, rows)
               for ids in order.split(3))
    whole = metrics.of_units(metrics.units(outputs, references))
    assert metrics(sums) == pytest.approx(whole, abs=1e-12)
    return whole


def test_multirc():
    """Three questions have 3, 2 and 2 answers, of which 2, 2 and 0 are classified correctly. Three answers are
    positive; four are classified as positive, two of them correctly."""
    groups = torch.tensor([0, 0, 0, 1, 1, 2, 2])
    targets = torch.tensor([1, 0, 0, 1, 0, 0, 1])
    answers = [1, 1, 0, 1, 0, 1, 0]
    values = both_ways(metrics_of("all"), outputs_of(answers), References(targets, groups))
    assert values == pytest.approx({"accuracy": 4 / 7, "f1": 2 * 2 / (3 + 4), "exact_match": 1 / 3, "parity": 0,
                                    "score": (4 / 7 + 4 / 7 + 1 / 3 + 0) / 4})
    assert values["f1"] == pytest.approx(f1_score(targets, answers))


def test_ax_g():
    """The rows of a pair differ only in a pronoun's gender. Two of four pairs have equal answers; one of the two is
    wrong."""
    groups = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])  # a pair's rows need not follow each other
    targets = torch.tensor([1, 1, 0, 0, 1, 1, 0, 0])
    answers = [1, 0, 0, 1, 1, 0, 1, 0]
    values = both_ways(metrics_of("all"), outputs_of(answers), References(targets, groups))
    assert values["parity"] == 2 / 4 and values["accuracy"] == 4 / 8 and values["exact_match"] == 1 / 4


CANDIDATES = ["The White House", "Washington D.C.", "Obama", "Barack Obama", "Michelle Obama", "Paris", "Rome"]
QUERIES = [0, 0, 1, 1, 1, 2, 2]
GOLD = [True, False, True, True, False, False, False]


def test_record():
    """Query 0 is answered correctly. Query 1 is answered by "Michelle Obama", which overlaps with the gold answers
    "Obama" (F1 2/3) and "Barack Obama" (F1 1/2). Query 2 has no gold answer among its candidates."""
    logits = torch.tensor([[0, 9.0], [0, 8], [0, 1], [0, 2], [0, 3], [0, 0], [0, -1]])
    references = References(torch.tensor(GOLD).long(), torch.tensor(QUERIES), text_scores(CANDIDATES, QUERIES, GOLD))
    values = both_ways(metrics_of("best"), logits, references)
    expected = {"accuracy": 1 / 3, "exact_match": 1 / 3, "token_f1": (1 + 2 / 3 + 0) / 3}
    assert values == pytest.approx({**expected, "score": mean(expected.values())})
    assert metrics_of("best").answers(logits, torch.tensor(QUERIES)).tolist() == [1, 0, 0, 0, 1, 1, 0]


def test_probabilities_choose_as_logits_do_and_follow_the_positive_label():
    torch.manual_seed(0)
    logits, groups = torch.randn(40, 2), torch.randint(0, 9, (40,))
    metrics, swapped = metrics_of("best"), metrics_of("best", ("yes", "no"))
    answers = metrics.answers(logits, groups)
    assert answers.equal(metrics.answers(logits.softmax(1), groups))
    assert answers.equal(1 - swapped.answers(logits.flip(1), groups))
    for group in groups.unique():
        rows = (groups == group).nonzero()[:, 0]
        assert answers[rows].tolist() == [int(row == rows[logits[rows].softmax(1)[:, 1].argmax()]) for row in rows]


def test_of_equal_rows_the_first_answers_the_group():
    assert metrics_of("best").answers(torch.zeros(4, 2), torch.tensor([5, 3, 3, 5])).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("answer", ["all", "best"])
def test_a_weighted_score_is_that_of_repeated_groups(answer):
    torch.manual_seed(1)
    metrics, groups = metrics_of(answer), torch.arange(30) % 8
    outputs, targets, scores = torch.randn(30, 2), torch.randint(0, 2, (30,)), torch.rand(30, 2).double()
    units = metrics.units(outputs, References(targets, groups, scores))
    drawn = torch.tensor([0, 0, 3, 4, 7, 7, 7])
    found = metrics.weighted(units, torch.bincount(drawn, minlength=8).double()[None])
    rows = [(groups == group).nonzero()[:, 0] for group in drawn]
    at, numbers = torch.cat(rows), torch.cat([torch.full_like(of_group, i) for i, of_group in enumerate(rows)])
    repeated = metrics.units(outputs[at], References(targets[at], numbers, scores[at]))
    assert float(found) == pytest.approx(metrics.of_units(repeated)["score"], abs=1e-12)


@pytest.mark.parametrize("text, expected", [
    ("The  U.S.A.", "usa"), ("a man, an apple", "man apple"), ("Theatre", "theatre"), ("the", ""), ("É 1-2", "é 12")])
def test_texts_are_normalised_as_squad_does(text, expected):
    assert normalised(text) == expected


def test_token_f1_counts_repeated_words():
    """The texts of 3 and 4 words share 2 words: precision 2/3, recall 1/2."""
    assert token_f1("b b c", "b b b d") == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert token_f1("", "") == token_f1("x", "y") == 0
