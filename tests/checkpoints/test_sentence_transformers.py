"""Tests of the pooling that folders of sentence-transformers name, as its versions write it."""

import json

import pytest

from fairseq_palbert.checkpoints.formats.sentence_transformers import pooling_of, write_pooling
from fairseq_palbert.errors import UserError
from fairseq_palbert.modules.pondering import POOLINGS

OLD_TYPE, NEW_TYPE = "sentence_transformers.models.", "sentence_transformers.sentence_transformer.modules."


@pytest.fixture
def write(tmp_path):
    """write(MODULES, FOLDER=CONFIG...) writes modules.json, unless MODULES is None, and returns the folder."""
    def write(modules, **configs):
        if modules is not None:
            (tmp_path / "modules.json").write_text(json.dumps(modules))
        for name, config in configs.items():
            (tmp_path / name.strip("_")).mkdir()
            (tmp_path / name.strip("_") / "config.json").write_text(json.dumps(config))
        return tmp_path

    return write


def modules(package, pooling="1_Pooling"):
    return [{"idx": 0, "name": "0", "path": "", "type": f"{package}Transformer"},
            {"idx": 1, "name": "1", "path": pooling, "type": f"{package}Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{package}Normalize"}]


@pytest.mark.parametrize("listed", [None, modules(OLD_TYPE), modules(NEW_TYPE)], ids=["not listed", "old", "new"])
@pytest.mark.parametrize("config, expected", [
    ({"word_embedding_dimension": 8, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
      "pooling_mode_max_tokens": False}, "mean"),
    ({"word_embedding_dimension": 8, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
    ({"embedding_dimension": 8, "pooling_mode": "mean", "include_prompt": True}, "mean"),
    ({"embedding_dimension": 8, "pooling_mode": "cls"}, "first"),
    ({"embedding_dimension": 8, "pooling_mode": ["mean"]}, "mean"),
])
def test_every_version_s_words_are_read(write, listed, config, expected):
    assert pooling_of(write(listed, _1_Pooling=config)) == expected


def test_the_module_is_where_the_list_says(write):
    configs = {"_1_Pooling": {"pooling_mode": "cls"}, "_2_Pooling": {"pooling_mode": "mean"}}
    assert pooling_of(write(modules(NEW_TYPE, "2_Pooling"), **configs)) == "mean"


@pytest.mark.parametrize("listed", [None, modules(NEW_TYPE)[:1], [{"type": "a.b.WordPooling", "path": "x"}]])
def test_a_folder_without_the_module_names_no_pooling(write, listed):
    assert pooling_of(write(listed)) is None


@pytest.mark.parametrize("config, message", [
    ({"pooling_mode_max_tokens": True}, "pools by max_tokens, and this plugin by cls or mean: choose with --pooling"),
    ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "pools by mean_tokens and cls_token, and"),
    ({"pooling_mode": ["cls", "max"]}, "pools by cls and max, and"),
    ({"pooling_mode": "lasttoken"}, "pools by lasttoken, and"),
    ({"word_embedding_dimension": 8}, "pools by nothing known, and"),
    ({"pooling_mode_mean_tokens": "false"}, "pooling_mode_mean_tokens is 'false', and should be true or false: "),
    ({"pooling_mode": 1}, "pooling_mode is 1, and should be a list of 0 to 10 values, each a text"),
    ({"pooling_mode": [["mean"]]}, r"pooling_mode is \[\['mean'\]\], and should be a list of 0 to 10 values, each a t"),
])
def test_another_pooling_is_one_line(write, config, message):
    with pytest.raises(UserError, match=f"1_Pooling/config.json: {message}"):
        pooling_of(write(None, _1_Pooling=config))


@pytest.mark.parametrize("listed, message", [
    (modules(NEW_TYPE), "names .*1_Pooling/config.json, which is not there: download it again, or choose "),
    ({"modules": []}, "is no JSON list: download it again, or choose with --pooling"),
    (["1_Pooling"], "module is '1_Pooling', and should be an object"),
    ([{"type": 1}], "module.type is 1, and should be a text"),
    ([{"type": "a.Pooling", "path": None}], "module.path is None, and should be a text"),
])
def test_a_damaged_list_is_one_line(write, listed, message):
    with pytest.raises(UserError, match=f"modules.json: .*{message}"):
        pooling_of(write(listed))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_written_is_listed_and_read(tmp_path, pooling):
    write_pooling(tmp_path, pooling, 8)
    assert pooling_of(tmp_path) == pooling
    (tmp_path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(UserError, match="modules.json: names .*1_Pooling/config.json, which is not there"):
        pooling_of(tmp_path)
