"""Who is next: longest first, each once, as many as fit beside those in flight, and never nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.inference.window import Waiting, Window

LENGTHS = [3, 9, 1, 9, 4]  # longest first: places 1, 3, 4, 0, 2


@pytest.mark.parametrize("window, in_flight, expected", [
    (Window(), [], [1, 3, 4, 0, 2]),
    (Window(sentences=2), [], [1, 3]),
    (Window(sentences=4), [2, 2, 2], [1]),
    (Window(sentences=4), [2, 2, 2, 2], []),
    (Window(tokens=18), [], [1, 3]),
    (Window(tokens=21), [], [1, 3]),
    (Window(tokens=22), [], [1, 3, 4]),
    (Window(tokens=18), [9], [1]),
    (Window(tokens=17), [9], []),
    (Window(tokens=5), [], [1]),  # one at least, however long
    (Window(tokens=5), [1], []),
])
def test_as_many_as_fit(window, in_flight, expected):
    assert Waiting(LENGTHS).take(window, in_flight) == expected


@given(lengths=st.lists(st.integers(1, 40)), tokens=st.integers(1, 60), sentences=st.none() | st.integers(1, 5))
def test_everybody_is_taken_once_longest_first(lengths, tokens, sentences):
    waiting, taken = Waiting(lengths), []
    while waiting:
        window = waiting.take(Window(tokens, sentences), [])
        assert window and len(window) <= (sentences or len(lengths))
        assert sum(lengths[place] for place in window) <= tokens or len(window) == 1
        taken += window
    assert sorted(taken) == list(range(len(lengths)))
    assert taken == sorted(range(len(lengths)), key=lambda place: -lengths[place]), "equal lengths in the given order"
