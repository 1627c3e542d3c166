"""Tests of the event files of a scoring run."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from fairseq_palbert.analysis.tensorboard import replacing_events
from fairseq_palbert.errors import UserError

RULES = ["q_exit:0.5", "expectation"]


@pytest.fixture
def scored(toy, evaluate, tmp_path):
    """scored() runs the evaluation and returns (events, scores, the content of evaluation.json)."""

    def run():
        folder = tmp_path / "tensorboard"
        out, scores = evaluate(*toy("MRPC"), *RULES, options=["--tensorboard-logdir", folder])
        events = EventAccumulator(str(folder / "score_valid"), size_guidance={"images": 0, "histograms": 0})
        return events.Reload(), scores, json.loads((out / "evaluation.json").read_text())

    return run


def test_the_exit_layers_are_a_histogram_of_one_bin_a_layer(scored):
    events, scores, _ = scored()
    for rule, score in zip(RULES, scores):
        (event,) = events.Histograms(f"exit_layer/{rule}")
        counts = dict(zip(event.histogram_value.bucket_limit, event.histogram_value.bucket))
        assert [counts.get(n + 0.5, 0) for n in range(1, 5)] == score["exit_histogram"]


def test_posterior_and_prior_are_scalars_by_layer(scored):
    events, _, told = scored()
    for name, values in (("posterior", told["layers"]["posterior"]), ("prior", told["layers"]["prior"])):
        written = [events.Scalars(f"{name}/p_{n}")[-1].value for n in range(1, 5)]
        assert written == pytest.approx(values, abs=1e-6)


def test_every_metric_of_a_rule_is_a_scalar(scored):
    events, scores, _ = scored()
    for rule, score in zip(RULES, scores):
        for name, value in {**score["metrics"], "mean_exit": score["mean_exit"]}.items():
            assert events.Scalars(f"{name}/{rule}")[-1].value == pytest.approx(value, abs=1e-6)


def test_runs_can_be_compared_by_their_settings(scored):
    events, scores, _ = scored()
    written = {tag: HParamsPluginData.FromString(content) for tag,
               content in events.PluginTagToContent("hparams").items()}
    settings = written["_hparams_/session_start_info"].session_start_info.hparams
    assert {name: settings[name].string_value for name in ("arch", "criterion")} == {
        "arch": "palbert_roberta_tiny", "criterion": "ponder_classification"}
    assert [settings[name].number_value for name in ("lr", "seed", "beta", "prior_lambda")] == [0.001, 1, 0.5, 0.3]
    metrics = {metric.name.tag for metric in written["_hparams_/experiment"].experiment.metric_infos}
    assert {f"{name}/{rule}" for rule in RULES for name in (*scores[0]["metrics"], "mean_exit")} == metrics
    assert metrics <= set(events.Tags()["scalars"])


def test_a_later_scoring_replaces_the_event_files_and_no_other(toy, evaluate, tmp_path):
    folder = tmp_path / "score_valid"
    folder.mkdir()
    (folder / "notes.txt").touch()
    for rules in (RULES, ["q_exit:0.5", "fixed:2"]):
        evaluate(*toy("MRPC"), *rules, options=["--tensorboard-logdir", tmp_path])
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0}).Reload()
    assert events.Tags()["histograms"] == ["exit_layer/q_exit:0.5", "exit_layer/fixed:2"]
    tags = events.Tags()["scalars"]
    assert "posterior/p_1" in tags and all(len(events.Scalars(tag)) == 1 for tag in tags)
    assert "score/expectation" not in tags and (folder / "notes.txt").exists()
    with pytest.raises(UserError, match="no update 3"), replacing_events(folder) as writer:
        writer.add_scalar("score/fixed:3", 0.5, 3)
        raise UserError("no update 3")
    assert EventAccumulator(str(folder)).Reload().Tags()["scalars"] == tags and len(list(folder.iterdir())) == 2


def test_the_plots_are_images(scored):
    events, _, _ = scored()
    assert set(events.Tags()["images"]) == {"exit_histogram", "posterior"}
    assert all(events.Images(tag)[0].width > 500 for tag in ("exit_histogram", "posterior"))


def test_without_the_option_nothing_is_written(toy, evaluate, tmp_path):
    evaluate(*toy("MRPC"), "fixed:1")
    assert not (tmp_path / "tensorboard").exists()
