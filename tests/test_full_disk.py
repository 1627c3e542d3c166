"""A full disk ends a command with one line, and no output is left."""

import pytest

from fairseq_palbert.analysis import choose_threshold, sweep
from fairseq_palbert.errors import UserError
from fairseq_palbert.evaluation import cli as evaluate
from fairseq_palbert.report import cli as report
from preprocess import cues


@pytest.fixture
def commands(make_run, toy, tmp_path):
    """Maps each command that writes a folder to its main function and its arguments without --out."""
    run = make_run("palbert", "SST-2", "q_exit:0.5", "fixed:4", seeds=(1,), halts=True)
    record = str(next(run.rglob("record.safetensors")))
    checkpoint, data = map(str, toy("RTE"))
    board = ["--tensorboard-logdir", str(tmp_path / "board")]
    return {
        "sweep": (sweep.main, [record, *board]),
        "thresholds": (choose_threshold.main, [record, "--max-drop", "0.01"]),
        "report": (report.main, [str(run), "--resamples", "10"]),
        "evaluate": (evaluate.main, [checkpoint, "--data", data, "--exit", "fixed:2", "--record", *board]),
        "cues": (cues.main, []),
    }


@pytest.mark.parametrize("name, size", [("sweep", 100), ("thresholds", 100), ("report", 12_000), ("evaluate", 12_000),
                                        ("cues", 100)])
def test_it_is_one_line_and_nothing_is_left(commands, full_disk, tmp_path, name, size):
    main, arguments = commands[name]
    out = tmp_path / "out"
    with pytest.raises(UserError, match="cannot be written"), full_disk(size):
        main([*arguments, "--out", str(out)])
    assert not [path for path in out.rglob("*") if path.is_file()]
