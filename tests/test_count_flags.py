"""Every flag that is a count or a seed is a whole number within bounds."""

import pytest

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation import cli as evaluate
from fairseq_palbert.evaluation import submission
from fairseq_palbert.report import cli as report
from fairseq_palbert.report import compare
from preprocess import cues, data

COUNTS = {
    "data --task RTE --out out --workers": data.main, "cues --out out --seed": cues.main,
    "sweep record --out out --points": sweep.main, "report run --out out --resamples": report.main,
    "compare a b --runs SST-2 a b --resamples": compare.main, "compare a b --runs SST-2 a b --seed": compare.main,
    "thresholds record --budget 2 --out out --seed": choose_threshold.main,
    "submission run --out a.zip --exit fixed:1 --seed": submission.main,
    **{f"evaluate a.pt --data d --exit fixed:1 --out out --{size}": evaluate.main
       for size in ("batch-size", "window-tokens", "step-tokens")},
}


@pytest.mark.parametrize("command", COUNTS)
@pytest.mark.parametrize("value, status", [("-1", 1), ("1" + 30 * "0", 1), ("0_3", 2), ("٣", 2), ("1e3", 2), ("nan", 2),
                                           ("9" * 5000, 2), ("", 2)])
def test_every_count_flag_is_a_bounded_whole_number(command, value, status, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, *words = command.split()
    with pytest.raises(SystemExit if status == 2 else UserError) as error:
        COUNTS[command]([*words[:-1], f"{words[-1]}={value}"])
    said = capsys.readouterr().err.splitlines()[-1] if status == 2 else str(error.value)
    assert words[-1] in said and ("invalid integer value" if status == 2 else "at least") in said
    assert list(tmp_path.iterdir()) == []
