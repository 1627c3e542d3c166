"""Tests of the end points of every rule's range, and of the spelling of thresholds.

They run for 2 to 7 classes in half, single and double precision.
"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.exits.registry import parse_rule
from fairseq_palbert.exits.replay import replay

DTYPES = [torch.float16, torch.float32, torch.float64]
LAYERS = 4


def exits(spec: str, rows: torch.Tensor) -> list[int]:
    """Returns the exit layers of sentences whose logits [B, K] are the same at each of ``LAYERS`` layers."""
    heads = rows.new_full((LAYERS - 1, len(rows)), 0.3)
    recording = Recording(heads, rows.expand(LAYERS, -1, -1), heads)
    return replay(parse_rule(spec), recording, torch.arange(len(rows))).exit_layers.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", range(2, 8))
def test_uniform_answers_never_leave_by_entropy(classes, dtype):
    """DeeBERT exits where the entropy is below the threshold; a uniform answer has the largest entropy, log K."""
    uniform = torch.tensor([0.0, 0.1, -3.7, 1e4], dtype=dtype)[:, None].expand(-1, classes)
    assert exits("entropy:1", uniform) == [LAYERS] * 4


@given(st.integers(2, 7).flatmap(lambda classes: st.lists(st.floats(-50, 50, width=32), min_size=classes,
                                                          max_size=classes)), st.sampled_from(DTYPES[1:]))
def test_at_the_ends_entropy_tells_uniform_answers_alone(row, dtype):
    """Logits that differ at all are not uniform, even 0 and 1e-30."""
    logits = torch.tensor([row], dtype=dtype)
    assert exits("entropy:1", logits) == [LAYERS if len(set(row)) == 1 else 1]
    assert exits("entropy:0", logits) == exits("confidence:1", logits) == [LAYERS]
    assert exits("confidence:0", logits) == [1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", range(2, 8))
def test_the_other_ends(classes, dtype):
    logits = torch.zeros(3, classes, dtype=dtype)
    for spec in ("patience:0", "confidence:0", "learned:1", "q_exit:0", "random:1", "fixed:1"):
        assert exits(spec, logits) == [1] * 3, spec
    for spec in (f"patience:{LAYERS}", "confidence:1", "learned:0", "q_exit:1", f"random:{LAYERS}", f"fixed:{LAYERS}",
                 "patience:1000", "entropy:0"):
        assert exits(spec, logits) == [LAYERS] * 3, spec


NOT_NUMBERS = ["0_3", " 1", "1 ", "+1", "٣", "３", "1e999", "-1", "10" * 200, "0x1", "1,0", "inf", "nan", "None"]
RULES = ["q_exit:{}", "sampling:{}", "patience:{}", "patience:1:{}", "entropy:{}", "confidence:{}", "confidence:0.5:{}",
         "confidence:0.5:1,{}", "learned:{}", "fixed:{}", "random:{}"]


@pytest.mark.parametrize("rule", RULES)
def test_a_threshold_is_a_plain_number_in_range(rule):
    for number in NOT_NUMBERS:
        with pytest.raises(UserError, match="exit rule"):
            parse_rule(rule.format(number))
