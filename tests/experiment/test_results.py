"""Tests of results: mean and standard deviation over seeds."""

import shutil

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import results
from fairseq_palbert.scores_file import scored_seeds
from tests.fixtures.recorded_runs import write_scores


@pytest.fixture
def scored(tmp_path):
    """scored(run, seed, split, score, exit) writes the scores of one rule and returns the run directory."""

    def write(run: str, seed: int, split: str, score: float | None, exit: str = "q_exit:0.5"):
        folder = tmp_path / run / f"seed{seed}" / "scores" / split
        metrics = {} if score is None else {"score": score, "f1": score / 2}
        path = folder / "scores.jsonl"
        earlier = path.read_text() if path.exists() else ""
        write_scores(folder, {exit: [2 + seed]}, 8, metrics=metrics, layer_speedup=1.5)
        path.write_text(earlier + path.read_text())
        return tmp_path / run

    return write


def test_mean_and_sample_deviation(scored):
    for seed, score in ((1, 0.5), (2, 0.7), (3, 0.9)):
        run = scored("RTE", seed, "valid", score)
    row, = results.summarise(results.collect([run]))
    assert (row["run"], row["split"], row["rule"], row["seeds"]) == ("RTE", "valid", "q_exit:0.5", 3)
    assert row["score"] == pytest.approx(0.7) and row["score_sd"] == pytest.approx(0.2)
    assert row["mean_exit"] == 4 and row["mean_exit_sd"] == 1 and row["layers_used"] == 0.5


def test_a_run_named_twice_counts_once(scored, monkeypatch):
    run = scored("RTE", 1, "valid", 0.5)
    monkeypatch.chdir(run.parent)
    row, = results.summarise(results.collect([run, run.relative_to(run.parent), run]))
    assert row["seeds"] == 1


def test_rules_splits_and_runs_stay_apart(scored, capsys, tmp_path):
    runs = [scored("RTE", 1, "valid", 0.5), scored("MNLI", 1, "valid", 0.6), scored("MNLI", 1, "valid1", 0.7)]
    scored("RTE", 1, "valid", 0.8, exit="q_exit")
    results.main([str(runs[0]), str(runs[1]), "--out", str(tmp_path / "results.tsv")])
    lines = [line.split()[:5] for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [["RTE", "valid", "q_exit:0.5", "1", "50.00"], ["RTE", "valid", "q_exit", "1", "80.00"],
                     ["MNLI", "valid", "q_exit:0.5", "1", "60.00"], ["MNLI", "valid1", "q_exit:0.5", "1", "70.00"]]
    header, first = (line.split("\t") for line in (tmp_path / "results.tsv").read_text().splitlines()[:2])
    assert dict(zip(header, first, strict=True))["score"] == "0.5"


def test_another_metric_than_the_official_score(scored):
    run = scored("MRPC", 1, "valid", 0.8)
    row, = results.summarise(results.collect([run], "f1"))
    assert row["score"] == 0.4
    with pytest.raises(UserError, match="has no pearson: choose from f1, score"):
        results.main([str(run), "--metric", "pearson"])


def test_a_split_without_labels_has_no_score(scored):
    row, = results.summarise(results.collect([scored("AX", 1, "test", None)]))
    assert row["score"] is None and row["mean_exit"] == 3
    assert "  -  " in results.as_table([row])


def test_nothing_scored_gives_one_line(tmp_path):
    with pytest.raises(UserError, match="nothing was scored there"):
        results.main([str(tmp_path)])


def test_markdown_has_tasks_side_by_side(scored, capsys):
    for method, task, seed, score in (("vanilla", "RTE", 1, 0.5), ("palbert", "RTE", 1, 0.5),
                                      ("palbert", "RTE", 2, 0.6),
                                      ("palbert", "MRPC", 1, 0.7)):
        scored(f"{method}/{task}", seed, "valid", score)
    folder = scored("palbert/MNLI", 2, "valid1", 0.8).parents[1]
    runs = [str(folder / name) for name in ("vanilla/RTE", "palbert/RTE", "palbert/MRPC", "palbert/MNLI")]
    results.main(["--markdown", *runs])
    assert capsys.readouterr().out.splitlines() == [
        "| method | exit rule | RTE | MRPC | MNLI valid1 |",
        "| --- | --- | --- | --- | --- |",
        "| vanilla | `q_exit:0.5` | 50.00; 3.00 (38 %) |  |  |",
        "| palbert | `q_exit:0.5` | 55.00 ± 7.07; 3.50 (44 %) | 70.00; 3.00 (38 %) | 80.00; 4.00 (50 %) |",
    ]


@pytest.mark.parametrize("runs, shown", [
    (["one/palbert/RTE", "two/palbert/RTE"], "palbert on RTE"),
    (["one/palbert/MNLI", "vanilla/MNLI", "two/palbert/MNLI"], "palbert on MNLI valid1"),
])
def test_markdown_of_two_runs_of_one_name_is_refused(scored, capsys, runs, shown):
    folders = [str(scored(run, 1, "valid1" if "MNLI" in run else "valid", 0.5)) for run in runs]
    with pytest.raises(UserError, match=f"a second run of {shown}: runs are told apart by the names"):
        results.main(["--markdown", *folders])
    results.main(folders)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(runs)


def test_a_copy_of_a_seed_is_no_seed(scored, capsys):
    run = scored("RTE", 1, "valid", 0.5)
    (run / "seed1").rename(run / "seed10")
    scored("RTE", 2, "valid", 0.7)
    for copy in ("seed2_backup", "seed2.old", "seeds"):
        shutil.copytree(run / "seed2", run / copy)
    row, = results.summarise(results.collect([run]))
    assert row["seeds"] == 2 and row["score_sd"] == pytest.approx(0.2 / 2 ** 0.5)
    assert capsys.readouterr().err.splitlines() == [
        f"{run / copy} is no folder of a seed, as seed1: left out" for copy in ("seed2.old", "seed2_backup", "seeds")]
    assert [path.parents[2].name for path in scored_seeds(run, "valid", "scores.jsonl")] == ["seed2", "seed10"]


def test_runs_of_one_name_are_printed_with_the_folder_above(scored, capsys):
    results.main([str(scored(run, 1, "valid", 0.5)) for run in ("RTE/cost0.01", "MRPC/cost0.01", "MRPC/cost0.02")])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "RTE/cost0.01", "MRPC/cost0.01", "MRPC/cost0.02"]
