"""Tests of downloading raw tasks and vocabularies: which files are fetched and unpacked, and bad archives."""

import hashlib
import io
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fairseq_palbert.definitions.packaged import benchmark_tasks, packaged_task
from fairseq_palbert.errors import UserError
from preprocess import download as module
from preprocess import transfer
from preprocess.download import download_task, download_vocabulary, extract, main
from preprocess.sources import SOURCES, VOCABULARY_SOURCES, Source

RTE = packaged_task("RTE")
MEMBERS = {f"RTE/{split.source.file}": split.source.file.encode() for split in RTE.splits}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path):
    def write(content: bytes):
        (tmp_path / "RTE.zip").write_bytes(content)
        return tmp_path / "RTE.zip"

    return write


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def serve(server, monkeypatch, task: str, **files: bytes) -> None:
    """Puts the files on the server as the sources of ``task``; ``__`` in a file's name stands for a dot."""
    names = {name.replace("__", "."): content for name, content in files.items()}
    server.files.update(names)
    monkeypatch.setitem(module.SOURCES[packaged_task(task).benchmark], task, tuple(
        Source(server.url + name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in names.items()))


def test_a_task_is_fetched_unpacked_and_not_fetched_again(server, monkeypatch, tmp_path):
    serve(server, monkeypatch, "RTE", RTE__zip=zipped(MEMBERS))
    for _ in range(2):
        folder = download_task(RTE, tmp_path)
    assert contents(folder) == {split.source.file: split.source.file.encode() for split in RTE.splits}
    assert len(server.ranges) == 1


def test_the_three_files_of_mrpc_are_fetched_as_they_are(server, monkeypatch, tmp_path):
    files = {"mrpc_dev_ids__tsv": b"1\t2\n", "msr_paraphrase_train__txt": b"a", "msr_paraphrase_test__txt": b"b"}
    serve(server, monkeypatch, "MRPC", **files)
    folder = download_task(packaged_task("MRPC"), tmp_path)
    assert contents(folder) == {name.replace("__", "."): content for name, content in files.items()}


def test_the_vocabulary_is_fetched(server, monkeypatch, tmp_path):
    server.files = {source.file: source.file.encode() for source in VOCABULARY_SOURCES}
    monkeypatch.setattr(module, "VOCABULARY_SOURCES", tuple(Source(server.url + name) for name in server.files))
    folder = download_vocabulary(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["dict.txt", "encoder.json", "vocab.bpe"]


def test_the_command_fetches_one_address(server, tmp_path, capsys):
    server.files["roberta.base.tar.gz"] = b"weights"
    main(["--url", server.url + "roberta.base.tar.gz", "--out", str(tmp_path / "roberta.tar.gz")])
    assert (tmp_path / "roberta.tar.gz").read_bytes() == b"weights"
    assert capsys.readouterr().out.strip() == str(tmp_path / "roberta.tar.gz")


def test_a_task_without_a_public_copy_is_refused(tmp_path):
    with pytest.raises(UserError, match="Cues has no public download: choose from CoLA"):
        download_task(packaged_task("Cues"), tmp_path)


def test_members_are_written_under_our_own_names_alone(archive, tmp_path):
    members = {"../train.tsv": b"1", "/dev.tsv": b"2", "RTE/test.tsv": b"3"}
    others = {"RTE/original/test.tsv": b"no", "../../evil": b"no"}
    folder = tmp_path / "out"
    folder.mkdir()
    before = set(tmp_path.iterdir())
    extract(archive(zipped(members | others)), [split.source.file for split in RTE.splits], folder)
    assert contents(folder) == {"train.tsv": b"1", "dev.tsv": b"2", "test.tsv": b"3"}
    assert set(tmp_path.iterdir()) == before | {tmp_path / "RTE.zip"}


def damaged(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1:]


@pytest.mark.parametrize("content, words", [
    (b"<html>please log in</html>", "no readable zip"),
    (zipped(MEMBERS)[:-30], "no readable zip"),
    (damaged(zipped(MEMBERS), 45), "no readable zip"),
    (zipped({"RTE/train.tsv": b"train.tsv"}), "has 0 files dev.tsv"),
    (zipped(MEMBERS | {"copy/train.tsv": b""}), "has 2 files train.tsv"),
])
def test_a_bad_archive_is_named_and_leaves_no_half_file(archive, tmp_path, content, words):
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(UserError, match=words):
        extract(archive(content), [split.source.file for split in RTE.splits], folder)
    whole = {split.source.file: split.source.file.encode() for split in RTE.splits}
    assert contents(folder).items() <= whole.items()


@pytest.mark.parametrize("name", ["SuperGLUE-RTE", "AX-b"])
def test_a_task_of_superglue_is_fetched_from_a_mirror_into_its_folder(name, server, monkeypatch, tmp_path):
    task = packaged_task(name)
    files = {split.source.file: split.name.encode() for split in task.splits}
    content = zipped({f"{task.folder}/{file}": data for file, data in files.items()})
    serve(server, monkeypatch, name, **{f"{task.folder}__zip": content})
    monkeypatch.setitem(module.SOURCES["SuperGLUE"], name, tuple(
        replace(source, url="http://127.0.0.1:9/v2/" + source.file) for source in module.SOURCES["SuperGLUE"][name]))
    monkeypatch.setenv("SUPERGLUE_URL", server.url)
    main(["--task", name, "--out", str(tmp_path)])
    assert contents(tmp_path / task.folder) == files


def test_a_benchmark_is_all_of_its_tasks(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(module, "download_task", lambda task, raw: asked.append(task.name))
    main(["--task", "SuperGLUE", "--task", "CB", "--task", "RTE", "--out", str(tmp_path)])
    assert asked == [*benchmark_tasks("SuperGLUE"), "RTE"]


def test_the_tables_cover_the_benchmarks_with_figures_for_every_file():
    assert {benchmark: set(sources) for benchmark, sources in SOURCES.items()} == {
        benchmark: set(benchmark_tasks(benchmark)) for benchmark in ("GLUE", "SuperGLUE")}
    for source in (source for tasks in SOURCES.values() for sources in tasks.values() for source in sources):
        assert source.url.startswith("https://") and source.size > 0 and len(source.sha256) == 64


@pytest.mark.parametrize("status, headers, size", [
    (200, {"Content-Length": "12"}, 12), (206, {"Content-Range": "bytes 3-11/12"}, 12),
    (200, {"Content-Length": "²"}, None), (206, {"Content-Range": "bytes 3-11/*"}, None), (416, {}, None),
    (200, {"Content-Length": "1_2"}, None), (206, {"Content-Range": "bytes 3-11/١٢"}, None),
])
def test_the_announced_size_is_a_plain_number_or_unknown(status, headers, size):
    assert transfer._announced(SimpleNamespace(status_code=status, headers=headers)) == size
