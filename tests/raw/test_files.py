"""Tests of finding a task's raw files."""

import pytest

from fairseq_palbert.definitions.packaged import packaged, packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.raw.files import check_raw, raw_file


@pytest.mark.parametrize("name", packaged())
def test_a_folder_without_the_task_is_refused_and_its_layout_named(name, tmp_path):
    task = packaged_task(name)
    split = next(split for split in task.splits if split.source)
    with pytest.raises(UserError, match=rf"is missing: give the folder .*{task.benchmark or task.folder}"):
        raw_file(task, split, tmp_path)
    with pytest.raises(UserError, match=rf"has no folder {task.folder}: give the folder .*"
                                        rf"{task.benchmark or task.folder}"):
        check_raw(task, tmp_path)
