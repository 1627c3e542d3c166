"""Tests of an experiment: resuming, refusal of other settings, search and scoring."""

import json
import shlex
import shutil

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import launch

STAGES = ("preprocess.data", "fairseq-train", "fairseq_palbert.evaluation")


def splits_scored(stand_in):
    return [call.split("--split ")[1].split()[0] for call in stand_in.find("fairseq_palbert.evaluation")]


@pytest.mark.parametrize("failing", [*STAGES, "training_state config"])
def test_goes_on_where_it_failed_and_repeats_nothing(experiment, stand_in, failing):
    stand_in.fail_at = failing
    with pytest.raises(UserError, match="out of luck"):
        experiment()
    stand_in.fail_at = None
    for _ in range(2):
        experiment()
        times = {stage: len(stand_in.find(stage)) for stage in STAGES}
        assert times == {stage: 1 + (stage == failing) for stage in STAGES}


def test_the_kept_command_is_what_was_run(experiment, stand_in):
    run_dir = experiment(seeds=[1, 2], lr=0.25)
    for seed, run in zip((1, 2), stand_in.find("fairseq-train"), strict=True):
        command = shlex.split((run_dir / f"seed{seed}" / "command").read_text())
        assert " ".join(command) == run and "--lr 0.25 " in run and f"--seed {seed} " in run
    variables = json.loads((run_dir / "invocations.jsonl").read_text())["variables"]
    assert variables["SEEDS"] == "1 2" and variables["LR"] == "0.25" and "METHOD" not in variables


def test_stages_can_be_chosen(experiment, stand_in):
    experiment(stop_stage=2, search_lr=[0.1, 0.2])
    assert stand_in.find("preprocess.data") and not stand_in.find("fairseq-train")
    experiment(stage=4, stop_stage=4)
    assert stand_in.find("fairseq-train") and not stand_in.find("fairseq_palbert.evaluation")


@pytest.mark.parametrize("method", ["palbert", "palbert_staged"])
@pytest.mark.parametrize("trained, missing", [([], 1), ([1], 2), ([1, 2], 3)])
def test_no_seed_is_scored_before_all_are_trained(experiment, stand_in, method, trained, missing):
    if trained:
        experiment(seeds=trained, stop_stage=4, method=method, first_run="first")
    begun = len(stand_in.calls)
    with pytest.raises(UserError, match=f"run has no trained model of seed {missing}: run stage 4 first"):
        experiment(seeds=[1, 2, 3], stage=5, method=method, first_run="first")
    assert len(stand_in.calls) == begun
    if trained:
        experiment(seeds=trained, stage=5, method=method, first_run="first")
        assert stand_in.find("fairseq_palbert.evaluation")


def test_other_settings_need_another_run_directory(experiment, stand_in):
    experiment()
    with pytest.raises(UserError, match=r"with other settings \(.*train-seed1.settings: --lr 0.001, now --lr 0.5\)"):
        experiment(lr=0.5)
    assert len(stand_in.find("fairseq-train")) == 1


def test_settings_may_be_corrected_until_there_is_a_checkpoint(experiment, stand_in):
    """As a batch that is too large for the memory."""
    stand_in.fail_at = "--lr 0.001"
    with pytest.raises(UserError, match="out of luck"):
        experiment()
    experiment(lr=0.5)
    assert "--lr 0.5" in stand_in.find("fairseq-train")[-1]


@pytest.mark.parametrize("name", ["glue_dir", "vocab_dir", "data"])
def test_other_data_need_another_run_directory(experiment, stand_in, tmp_path, name):
    experiment(stop_stage=2)
    (tmp_path / "other" / "RTE").mkdir(parents=True)
    (tmp_path / "other" / "glue.json").write_text('{"task": "RTE"}')
    with pytest.raises(UserError, match="was begun with other settings .*preprocess.settings"):
        experiment(**{name: "other"})


@pytest.mark.parametrize("values", [
    {"glue_dir": "glue"}, {"vocab_dir": "vocab"}, {"data": "data"}, {"run_dir": "run"},
    {"method": "palbert_staged", "first_run": "first"}, {"method": "deebert", "first_run": "vanilla"},
    {"pretrained": "converted"},
])
@pytest.mark.parametrize("version, other", [
    ("this", "link"), ("this", "glue/../{0}"), ("earlier", "link"), ("earlier", "{0}")])
def test_another_path_to_the_same_folder(experiment, stand_in, tmp_path, first_run, values, other, version):
    """An earlier version recorded paths with links in them."""
    for name in ("data", "first", "converted"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "glue.json").write_text('{"task": "RTE", "splits": {"train": {"rows": 100}}}')
    (tmp_path / "converted" / "conversion.json").write_text('{"arch": "palbert_bert_base", "flags": []}')
    name, folder = list(values.items())[-1]
    (tmp_path / "link").symlink_to(folder)
    run_dir = experiment(**values)
    calls = len(stand_in.calls)
    if version == "earlier":
        for record in (run_dir / "stages").glob("*.settings"):
            record.write_text(record.read_text().replace(f"{tmp_path}/{folder}", f"{tmp_path}/link"))
    experiment(**values | {name: other.format(folder)})
    assert len(stand_in.calls) == calls


@pytest.mark.parametrize("wrong, message", [
    ({}, "data=wrong holds no binarized data .wrong/glue.json is missing.: give a folder of palbert data"),
    ({"train.tsv": "a row"}, "holds no binarized data"), ({"RTE/glue.json": '{"task": "RTE"}'}, "holds no binarized"),
    ({"glue.json": '{"task": "SST-2"}'}, "data=wrong holds 'SST-2', not RTE"),
    ({"glue.json": "{}"}, "holds None, not RTE"), ({"glue.json": "RTE"}, "glue.json: not JSON"),
])
@pytest.mark.parametrize("stop_stage", [2, 6])
def test_data_may_be_corrected_after_a_wrong_folder(experiment, stand_in, tmp_path, wrong, message, stop_stage):
    (tmp_path / "wrong").mkdir()
    for name, text in wrong.items():
        (tmp_path / "wrong" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "wrong" / name).write_text(text)
    (tmp_path / "right").mkdir()
    (tmp_path / "right" / "glue.json").write_text('{"task": "RTE", "splits": {"train": {"rows": 100}}}')
    with pytest.raises(UserError, match=message):
        experiment(data="wrong", stop_stage=stop_stage)
    experiment(data="right", stop_stage=stop_stage)
    assert bool(stand_in.find("fairseq-train")) == (stop_stage == 6)


@pytest.mark.parametrize("stage", [3, 4])
@pytest.mark.parametrize("values", [{}, {"max_update": 7}])
def test_a_later_stage_needs_the_data_of_the_second(experiment, stand_in, stage, values):
    for _ in range(2):
        with pytest.raises(UserError, match="/run has no data: run stage 2 first"):
            experiment(stage=stage, **values)
        experiment(stop_stage=1)
    assert not stand_in.calls


@pytest.mark.parametrize("values, message", [
    ({"select_on": "holdout", "holdout_fraction": 0.01}, "holdout_fraction=0.01 of 100 rows leaves none to choose"),
    ({"method": "palbert_staged", "first_run": "first", "holdout_fraction": 0.02}, "holdout_fraction=0.02 of 100 rows"),
    ({"train_examples": 101}, "train_examples=101: .*data has 100 rows to train on"),
    ({"train_examples": 91, "select_on": "holdout", "holdout_fraction": 0.1}, "train_examples=91: .* has 90 rows"),
])
@pytest.mark.parametrize("max_update", [None, 7])
def test_too_few_rows_are_told_before_training(experiment, stand_in, tmp_path, values, message, max_update):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "glue.json").write_text('{"task": "RTE", "splits": {"train": {"rows": 100}}}')
    with pytest.raises(UserError, match=message):
        experiment(data="data", max_update=max_update, **values)
    assert not stand_in.find("fairseq-train")
    fewer = {"train_examples": 90} if "train_examples" in values else {}
    experiment(data="data", max_update=max_update, **{**values, "holdout_fraction": 0.1, **fewer})
    assert stand_in.find("fairseq-train")


def test_data_of_fairseq_s_own_script(experiment, stand_in, tmp_path):
    (tmp_path / "data" / "input0").mkdir(parents=True)
    (tmp_path / "data" / "input0" / "preprocess.log").touch()
    experiment(data="data", max_update=7)
    assert stand_in.trained["max-update"] == "7"


@pytest.mark.parametrize("change", ["another row", "a split more", "a split less"])
def test_changed_raw_files_need_another_run_directory(experiment, stand_in, tmp_path, change):
    """The data that was made of the former rows must not be taken for theirs."""
    train, dev = (tmp_path / "glue" / "RTE" / f"{name}.tsv" for name in ("train", "dev"))
    train.write_text("a row\n")
    if change == "a split less":
        dev.write_text("a row\n")
    experiment(stop_stage=2)
    if change == "a split less":
        dev.unlink()
    else:
        (train if change == "another row" else dev).write_text("a row\nanother\n")
    with pytest.raises(UserError, match="was begun with other settings .*preprocess.settings: --raw-sha256 "):
        experiment(stop_stage=2)
    assert len(stand_in.find("preprocess.data")) == 1


@pytest.fixture
def raw(tmp_path):
    """The folder of RTE's raw files, with a row in each."""
    folder = tmp_path / "glue" / "RTE"
    for name in ("train", "dev", "test"):
        (folder / f"{name}.tsv").write_text("a row\n")
    return folder


@pytest.mark.parametrize("values, difference", [
    ({}, "preprocess.settings: --raw-sha256"), ({"detokenize": True}, "preprocess.settings: .* --detokenize"),
    ({"glue_dir": "other"}, "preprocess.settings: --raw "), ({"vocab_dir": "other"}, "preprocess.settings: --vocab "),
    ({"lr": 0.5}, "train-seed1.settings: --lr 0.001, now --lr 0.5"),
])
@pytest.mark.parametrize("later", [{"stage": 4, "seeds": [2]}, {"stage": 6}])
def test_a_later_stage_is_refused_to_other_settings_too(experiment, stand_in, raw, values, difference, later):
    experiment()
    if not values:
        (raw / "train.tsv").write_text("another row\n")
    (raw.parent.parent / "other" / "RTE").mkdir(parents=True)
    begun = len(stand_in.calls)
    with pytest.raises(UserError, match=f"with other settings .*{difference}"):
        experiment(**later, **values)
    assert len(stand_in.calls) == begun


def test_a_later_stage_is_refused_to_another_task_file(experiment, stand_in, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nsentences = ["text"]\nlabel = "answer"\nlabels = ["no", "yes"]\nmetric = "accuracy"\n'
                   '[splits]\ntrain = "rows.csv"\nvalid = 0.1\n')
    (tmp_path / "rows.csv").write_text("text,answer\n")
    run_dir = experiment(task="own.toml", stop_stage=2)
    (run_dir / "data" / "own").mkdir()
    (run_dir / "data" / "own" / "glue.json").write_text('{"splits": {"train": {"rows": 100}}}')
    experiment(task="own.toml", stage=4)
    own.write_text(own.read_text().replace("accuracy", "macro_f1"))
    with pytest.raises(UserError, match="preprocess.settings: --definition "):
        experiment(task="own.toml", stage=4)


@pytest.mark.parametrize("gone", ["glue/RTE", "glue/RTE/dev.tsv", "glue", "vocab", "converted"])
@pytest.mark.parametrize("stage", [4, 5])
def test_a_later_stage_does_not_compare_what_is_gone(experiment, stand_in, raw, tmp_path, gone, stage):
    """Of a run directory that was moved to another machine."""
    (tmp_path / "converted").mkdir()
    (tmp_path / "converted" / "conversion.json").write_text('{"arch": "palbert_bert_base", "flags": []}')
    values = {"glue_dir": "glue", "vocab_dir": "vocab", "pretrained": "converted"}
    experiment(**values, **({} if stage > 4 else {"stop_stage": 2}))
    (tmp_path / gone).rename(tmp_path / "moved")
    if gone == "converted":
        values["pretrained"] = "moved"
    elif gone == "glue/RTE":
        (tmp_path / gone).mkdir()
    elif "/" not in gone:
        values[f"{gone}_dir"] = None
    experiment(stage=stage, **values)
    assert len(stand_in.find("fairseq-train")) == 1


def test_a_later_stage_does_not_compare_the_devices(experiment, stand_in):
    experiment(cpu_workers=2, batch=32, max_update=7)
    experiment(stage=5, batch=32, max_update=7)
    with pytest.raises(UserError, match="--batch-size 16, now --batch-size 32"):
        experiment(stage=4, batch=32, max_update=7, seeds=[2])


@pytest.mark.parametrize("method", ["palbert", "deebert"])
def test_a_seed_is_added_to_a_search(experiment, stand_in, first_run, method):
    values = {"method": method, "first_run": str(first_run), "search_lr": [0.1, 0.3]}
    experiment(**values)
    experiment(**values, seeds=[2], stage=4)
    assert "/run/seed2/" in stand_in.trained["save-dir"]
    with pytest.raises(UserError, match="search-lr0.1.*.settings: .* --fresh-heads"):
        experiment(**values, seeds=[2], stage=4, fresh_heads=True)


def test_data_made_elsewhere_is_not_compared(experiment, stand_in, tmp_path):
    (tmp_path / "run" / "data" / "RTE").mkdir(parents=True)
    (tmp_path / "run" / "data" / "RTE" / "glue.json").write_text('{"splits": {"train": {"rows": 100}}}')
    experiment(stage=4)
    assert stand_in.find("fairseq-train") and not stand_in.find("preprocess.data")


@pytest.mark.parametrize("begun", [None, "RTE\n"])
def test_raw_files_may_be_corrected_until_there_is_data_of_them(experiment, stand_in, tmp_path, begun):
    """``begun`` is what an earlier version recorded before it was killed, which no data was made by either."""
    train = tmp_path / "glue" / "RTE" / "train.tsv"
    train.write_text("half a row")
    stand_in.fail_at = "preprocess.data"
    with pytest.raises(UserError, match="out of luck"):
        experiment(stop_stage=2)
    stand_in.fail_at = None
    train.write_text("a row\n")
    if begun:
        (tmp_path / "run" / "stages" / "preprocess.settings").write_text(begun)
    experiment(stop_stage=2)
    assert len(stand_in.find("preprocess.data")) == 2


@pytest.mark.parametrize("earlier", ["RTE", "RTE --raw {0}/glue --vocab {0}/vocab"])
def test_a_record_without_the_raw_data_needs_another_run_directory(experiment, stand_in, tmp_path, earlier):
    """The recipe in bash recorded only the task, and later versions no digest of the raw files."""
    run_dir = experiment(stop_stage=2)
    record = run_dir / "stages" / "preprocess.settings"
    line = record.read_text().strip()
    record.write_text(earlier.format(tmp_path) + "\n")
    with pytest.raises(UserError, match="was begun by an earlier version, which did not record raw data") as error:
        experiment()
    assert f"write '{line}' to {record}" in str(error.value)
    record.write_text(line)
    experiment(stop_stage=2)
    assert len(stand_in.find("preprocess.data")) == 1


def test_a_run_of_the_recipe_in_bash_goes_on(experiment, stand_in):
    """The recipe in bash wrote numbers as they were typed."""
    run_dir = experiment(stop_stage=4)
    record = run_dir / "stages" / "train-seed1.settings"
    typed = record.read_text().replace("--lr 0.001 ", "--lr 1e-3 ").replace("--adam-eps 1e-6", "--adam-eps 1e-06")
    record.write_text(typed)
    experiment()
    assert len(stand_in.find("fairseq-train")) == 1


def test_other_exit_rules_are_scored_again(experiment, stand_in):
    for exits in (["q_exit:0.5"], ["q_exit:0.5", "fixed:N"]):
        experiment(exits=exits)
    assert [call.count("--exit") for call in stand_in.find("fairseq_palbert.evaluation")] == [1, 2]
    assert "--exit fixed:7" in stand_in.find("fairseq_palbert.evaluation")[1]
    assert len(stand_in.find("fairseq-train")) == 1


def test_search_takes_the_best(experiment, stand_in, capsys):
    """The stand-in's score is the learning rate."""
    run_dir = experiment(search_lr=[0.1, 0.3, 0.2], search_beta=[0.01, 0.5], select_on="holdout", seeds=[7, 8])
    assert "score 0.3 on holdout with {'lr': 0.3, 'lambda_lr': 0.001, 'beta': 0.01}" in capsys.readouterr().err
    trained = stand_in.find("fairseq-train")
    assert len(trained) == 6 + 2
    assert all("--lr 0.3 " in call and "--beta 0.01 " in call for call in trained[6:])
    assert all("--seed 7 " in call for call in trained[:6])
    lines = (run_dir / "search" / "results.tsv").read_text().splitlines()
    assert len(lines) == 7 and lines[0].split("\t") == ["score", "lr", "lambda_lr", "beta"]


@pytest.mark.parametrize("extra, metric, best", [
    ([], "loss", "0.1"), (["--best-checkpoint-metric", "score", "--maximize-best-checkpoint-metric"], "score", "0.3"),
])
def test_search_takes_the_smallest_loss(experiment, stand_in, capsys, first_run, extra, metric, best):
    """The stand-in's loss is the learning rate."""
    run_dir = experiment(method="deebert", first_run=str(first_run), search_lr=[0.3, 0.1, 0.2], extra_train_flags=extra)
    assert stand_in.trained["lr"] == best and f"search: {metric} {best} on valid with" in capsys.readouterr().err
    assert (run_dir / "search" / "results.tsv").read_text().split("\t")[0] == metric


@pytest.mark.parametrize("method", ["palbert", "deebert"])
@pytest.mark.parametrize("rest, won", [(["0.4"], "0.2"), (["inf"], "0.2"), (["-inf"], "0.2"), (["nan"], None)])
def test_no_search_is_won_by_what_is_no_number(experiment, stand_in, monkeypatch, first_run, method, rest, won):
    bests = iter(["nan", *rest])
    monkeypatch.setattr(launch, "output_of", lambda command: next(bests) if command[-2] == "best" else
                        stand_in.output_of(command))
    values = {"method": method, "first_run": str(first_run) if method == "deebert" else None, "search_lr": [0.1, 0.2]}
    if won:
        experiment(**values)
        assert stand_in.trained["lr"] == won
    else:
        with pytest.raises(UserError, match="results.tsv: no combination has a (loss|score) that is a number"):
            experiment(**values)


def test_a_staged_method_searches_in_its_first_phase_alone(experiment, stand_in):
    lists = {"search_lr": [0.1, 0.3], "search_lambda_lr": [0.4, 0.5], "search_beta": [0.01, 0.6]}
    run_dir = experiment(method="palbert_staged", run_dir="gate", first_run="first", layer_cost=[0.005, 0.02], **lists)
    trained = stand_in.find("fairseq-train")
    assert len(trained) == 8 + 1 + 2 and not list(run_dir.glob("**/search"))
    assert "--lr 0.3 " in trained[8] and "/first/seed1/checkpoints" in trained[8]
    assert all("--train-only lambda" in call and "--lr 0.003 " in call for call in trained[9:])


def test_mnli_selects_on_matched_and_scores_both(experiment, stand_in):
    experiment(task="MNLI")
    assert stand_in.trained["valid-subset"] == "valid,valid1" and splits_scored(stand_in) == ["valid", "valid1"]


@pytest.mark.parametrize("task, splits", [
    ("RTE", ["valid", "calibration"]), ("MNLI", ["valid", "valid1", "calibration"]),
])
def test_a_held_out_part_is_scored_beside_the_dev_splits(experiment, stand_in, task, splits):
    run_dir = experiment(task=task, select_on="holdout")
    assert splits_scored(stand_in) == splits
    rules = [call[call.index(" --record"):] for call in stand_in.find("fairseq_palbert.evaluation")]
    assert set(rules) == {rules[0]} and "--exit q_exit:0.5" in rules[0]
    assert (run_dir / "stages" / "score-seed1-calibration.done").exists()


@pytest.mark.parametrize("folder", ["AX", "diagnostic"])  # GLUE's own script names it diagnostic
def test_ax_is_scored_with_the_model_of_mnli(experiment, stand_in, tmp_path, folder):
    (tmp_path / "glue" / "AX").rename(tmp_path / "glue" / folder)
    experiment(task="MNLI", run_dir="MNLI")
    experiment(task="AX", run_dir="AX")
    scored = stand_in.find("fairseq_palbert.evaluation")[-1]
    assert f"{tmp_path}/MNLI/seed1/checkpoints/checkpoint_best.pt" in scored
    assert "--split test" in scored and "--glue-task AX" in scored
    assert (tmp_path / "AX" / "results.tsv").exists()


def test_ax_is_scored_with_each_gate_of_mnli(experiment, stand_in, tmp_path):
    values = {"method": "palbert_staged", "layer_cost": [0.005, 0.02]}
    experiment(task="MNLI", run_dir="MNLI", first_run="first/MNLI", **values)
    experiment(task="AX", run_dir="AX", first_run="first/AX", **values)
    scored = [call for call in stand_in.find("fairseq_palbert.evaluation") if "--glue-task AX " in call]
    assert [call.split("fairseq_palbert.evaluation ")[1].split()[0] for call in scored] == [
        f"{tmp_path}/MNLI/cost{cost}/seed1/checkpoints/checkpoint_best.pt" for cost in ("0.005", "0.02")]


def test_epochs_set_the_length_of_training(experiment, stand_in):
    """Of 3668 examples 734 are held out, so an epoch has 2934 / 16 = 184 updates."""
    experiment(max_epoch=3, batch=16, select_on="holdout", holdout_fraction=0.2, warmup=0.25)
    lengths = [stand_in.trained[name] for name in ("total-num-update", "warmup-updates", "max-update", "max-epoch")]
    assert lengths == ["552", "138", "552", "3"]


@pytest.mark.parametrize("content, message", [
    ('{"task": "RTE", "splits": {"train": {"rows": "SEEDS[$(touch made)]"}}}', "does not say how many rows train has"),
    ('{"task": "RTE", "splits": {"train": {"rows": 0}}}', "does not say"),
    ('{"task": "RTE", "splits": []}', "does not say"), ("{", "not JSON"),
    ('{"task": "RTE", "splits": {"train": {"rows": NaN}}}', "NaN is no JSON number"),
])
def test_rows_that_are_no_number(experiment, stand_in, tmp_path, content, message):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "glue.json").write_text(content)
    with pytest.raises(UserError, match=message):
        experiment(data="data", max_epoch=3)
    assert not stand_in.find("fairseq-train")


def test_a_staged_method_trains_its_first_phase_where_it_has_to(experiment, stand_in, tmp_path):
    for seeds in ([1], [1, 2]):
        run_dir = experiment(method="pabee_staged", run_dir="gate", first_run="pabee", seeds=seeds)
    trained = [call.split("--save-dir ")[1].split()[0] for call in stand_in.find("fairseq-train")]
    assert trained == [f"{tmp_path}/{run}/seed{seed}/checkpoints" for seed in (1, 2) for run in ("pabee", "gate")]
    assert len(stand_in.find("preprocess.data")) == 1 and not (tmp_path / "pabee" / "seed1" / "scores").exists()
    assert stand_in.trained["finetune-from-model"] == f"{tmp_path}/pabee/seed2/checkpoints/checkpoint_best.pt"
    assert (run_dir / "seed2" / "scores" / "calibration").is_dir()


def test_a_second_phase_is_not_kept_where_the_first_has_changed(experiment, stand_in, tmp_path):
    values = {"method": "pabee_staged", "run_dir": "gate", "first_run": "first"}
    experiment(**values)
    for gone in ("stages/train-seed1.settings", "stages/train-seed1.done", "seed1"):
        path = tmp_path / "first" / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match="gate was begun with other settings .*--first-phase-sha256 .*, now "):
        experiment(**values, lr=0.5)
    shutil.rmtree(tmp_path / "first" / "seed1")
    experiment(**values, lr=0.5, stage=6)  # what is gone is not compared


def test_a_second_phase_of_an_earlier_version_goes_on(experiment, stand_in, tmp_path):
    """It recorded no SHA-256."""
    values = {"method": "pabee_staged", "run_dir": "gate", "first_run": "first"}
    record = experiment(**values) / "stages" / "train-seed1.settings"
    record.write_text(record.read_text().partition(" --first-phase-sha256")[0] + "\n")
    (tmp_path / "first" / "seed1" / "checkpoints" / "checkpoint_best.pt").write_text("800 0.5")
    experiment(**values)
    assert len(stand_in.find("fairseq-train")) == 2


def test_checkpoints_without_their_settings_are_not_taken_for_others(experiment, stand_in):
    run_dir = experiment(lr=0.1)
    for record in (run_dir / "stages").glob("train-seed1.*"):
        record.unlink()
    with pytest.raises(UserError, match="seed1 has checkpoints, and .*train-seed1.settings, which says how they were "
                                        "trained, is gone: remove .*seed1 too, to train again"):
        experiment(lr=0.2)


@pytest.mark.parametrize("stage", [4, 5])
def test_a_search_that_has_not_ended_is_not_used(experiment, stand_in, stage):
    values = {"search_lr": [0.1, 0.3]}
    run_dir = experiment(**values)
    done, = (run_dir / "stages").glob("search-lr0.3-*.done")
    done.unlink()  # as after a kill, with a checkpoint saved before
    with pytest.raises(UserError, match="search/lr0.3-.* has not ended, and the search compares all: run stage 3"):
        experiment(**values, stage=stage)


def test_a_gate_a_cost(experiment, stand_in, tmp_path):
    experiment(method="palbert_staged", first_run="palbert", layer_cost=[0.005, 0.02])
    assert len(stand_in.find("fairseq-train")) == 3
    for cost in ("0.005", "0.02"):
        assert f"--layer-cost {cost} " in (tmp_path / "run" / f"cost{cost}" / "seed1" / "command").read_text()


def test_usual_run_directories(experiment, tmp_path):
    for values, folder in (({}, "RTE"), ({"method": "vanilla"}, "vanilla/RTE"), ({"run_name": "lr=1"}, "RTE/lr=1")):
        experiment(stop_stage=2, run_dir=None, **values)
        assert (tmp_path / "runs" / "palbert_roberta_tiny" / folder / "stages" / "preprocess.done").exists()
