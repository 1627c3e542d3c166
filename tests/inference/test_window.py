"""Tests of the window: its size, and which sentences are next.

The longest come first, each once, as many as fit beside those in flight, and at least one if none is in flight.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.inference import window
from fairseq_palbert.inference.window import CPU_STEP_TOKENS, CPU_TOKENS, GPU_STEP_TOKENS, GPU_TOKENS, Waiting, Window

LENGTHS = [3, 9, 1, 9, 4]  # longest first: places 1, 3, 4, 0, 2


@pytest.mark.parametrize("at_most, in_flight, expected", [
    (Window(), [], [1, 3, 4, 0, 2]),
    (Window(sentences=2), [], [1, 3]),
    (Window(sentences=4), [2, 2, 2], [1]),
    (Window(sentences=4), [2, 2, 2, 2], []),
    (Window(tokens=18), [], [1, 3]),
    (Window(tokens=21), [], [1, 3]),
    (Window(tokens=22), [], [1, 3, 4]),
    (Window(tokens=18), [9], [1]),
    (Window(tokens=17), [9], []),
    (Window(tokens=5), [], [1]),  # at least one, however long
    (Window(tokens=5), [1], []),
])
def test_as_many_as_fit(at_most, in_flight, expected):
    assert Waiting(LENGTHS).take(at_most, in_flight) == expected


@pytest.mark.parametrize("free, share", [(2**40, 1), (None, 0.5), (1, 0)])
def test_sizes_fit_the_memory_that_is_free(monkeypatch, free, share):
    """An eighth of the free memory holds all that ``Window.fitting`` counts, half of it, or nothing.

    If it holds nothing, the window has one token at a time.
    """
    needed = 4 * (CPU_TOKENS * 2 * 8 + CPU_STEP_TOKENS * (4 * 8 + 2 * 12))
    monkeypatch.setattr(window, "free_memory", lambda device: free or 8 * needed // 2)
    fitting = Window.fitting(8, 12, torch.float32, torch.device("cpu"))
    assert fitting == Window(max(1, int(share * CPU_TOKENS)), None, max(1, int(share * CPU_STEP_TOKENS)))


def test_a_gpu_takes_more_at_once(monkeypatch):
    monkeypatch.setattr(window, "free_memory", lambda device: 2**40)
    assert Window.fitting(8, 12, torch.float32, torch.device("cuda")) == Window(GPU_TOKENS, None, GPU_STEP_TOKENS)


def test_free_memory_is_bytes_of_this_machine():
    assert 2**20 < window.free_memory(torch.device("cpu")) < 2**50


@given(lengths=st.lists(st.integers(1, 40)), tokens=st.integers(1, 60), sentences=st.none() | st.integers(1, 5))
def test_everybody_is_taken_once_longest_first(lengths, tokens, sentences):
    waiting, taken = Waiting(lengths), []
    while waiting:
        places = waiting.take(Window(tokens, sentences), [])
        assert places and len(places) <= (sentences or len(lengths))
        assert sum(lengths[place] for place in places) <= tokens or len(places) == 1
        taken += places
    assert sorted(taken) == list(range(len(lengths)))
    assert taken == sorted(range(len(lengths)), key=lambda place: -lengths[place]), "equal lengths in the given order"
