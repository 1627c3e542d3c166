"""Tests of fetching from the Hugging Face Hub, without a network: requests and one-line errors."""

import httpx2
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from fairseq_palbert.checkpoints import hub
from fairseq_palbert.errors import UserError


def test_the_second_kind_of_weights_is_fetched_only_where_the_first_is_missing(monkeypatch, tmp_path):
    asked = []

    def download(name, allow_patterns):
        asked.append(allow_patterns)
        if "pytorch_model.bin" in allow_patterns:
            (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", download)
    assert hub.fetch("a/bert") == tmp_path
    assert ["model.safetensors" in patterns for patterns in asked] == [True, False]
    (tmp_path / "model.safetensors").touch()
    hub.fetch("bert")
    settings = {"config.json", "spiece.model", "modules.json", "*_Pooling/config.json"}
    assert len(asked) == 3 and all(settings <= set(patterns) for patterns in asked)


@pytest.mark.parametrize("error, message", [
    (LocalEntryNotFoundError("offline"), "a/bert: no such file or folder here, and the Hugging Face Hub cannot be "
                                         "reached"),
    (httpx2.ReadTimeout("late"), "cannot be reached .ReadTimeout."),
    (RepositoryNotFoundError("no", response=httpx2.Response(404, request=httpx2.Request("GET", "http://hub"))),
     "no model of this name on the Hugging Face Hub"),
])
def test_failures_are_one_line(monkeypatch, error, message):
    def download(*args, **kwargs):
        raise error

    monkeypatch.setattr(hub, "snapshot_download", download)
    with pytest.raises(UserError, match=message):
        hub.fetch("a/bert")


@pytest.mark.parametrize("name", ["./missing", "missing/folder/below", "/missing", "model file.pt", "../up"])
def test_what_can_be_no_name_is_a_missing_file(name):
    with pytest.raises(UserError, match="no such file or folder"):
        hub.fetch(name)
