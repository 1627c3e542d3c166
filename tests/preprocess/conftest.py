"""Fixtures for tests of preprocess: a misbehaving file server, and fairseq's own steps."""

import logging
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fairseq_palbert.definitions.definition import TaskDefinition


@dataclass
class FileServer:
    """Serves ``files`` (path to bytes) at ``url`` and notes the requested ``ranges``. Other fields make it misbehave.

    ``stop_after`` has the number of bytes after which each answer breaks off, in the order of the requests;
    ``announce`` is a false Content-Length; ``no_length`` leaves that header out; ``ignore_ranges`` always sends the
    whole file; ``shift_ranges`` starts each range one byte late; ``status`` answers each request with this HTTP error.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    stop_after: list[int] = field(default_factory=list)
    announce: int | None = None
    no_length: bool = False
    ignore_ranges: bool = False
    shift_ranges: bool = False
    status: int | None = None
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    behaviour: FileServer

    def log_message(self, *args):
        pass

    def do_GET(self):
        server, content = self.behaviour, self.behaviour.files.get(self.path.lstrip("/"))
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if content is None or server.status:
            self.send_error(server.status or 404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not server.ignore_ranges else None
        if start is not None and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = start + 1 if start is not None and server.shift_ranges else start
        body = content[start or 0:]
        self.send_response(200 if start is None else 206)
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if not server.no_length:
            self.send_header("Content-Length", str(server.announce or len(body)))
        self.end_headers()
        self.wfile.write(body[:server.stop_after.pop(0)] if server.stop_after else body)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("preprocess.transfer.PAUSE", 0.0)
    behaviour = FileServer()
    handler = type("Handler", (_Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        behaviour.url = f"http://127.0.0.1:{http.server_port}/"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield behaviour
        http.shutdown()
        thread.join()


@pytest.fixture
def run_fairseq_steps(monkeypatch, tmp_path):
    """run_fairseq_steps(task, raw, vocabulary, out) runs the two programs of fairseq's GLUE script; returns ``out``."""

    def bpe(vocabulary: Path, source: Path, target: Path) -> None:
        from fairseq.examples.roberta.multiprocessing_bpe_encoder import main

        monkeypatch.setattr("sys.argv", [
            "multiprocessing_bpe_encoder", "--encoder-json", str(vocabulary / "encoder.json"),
            "--vocab-bpe", str(vocabulary / "vocab.bpe"), "--inputs", str(source), "--outputs", str(target),
            "--workers", "1", "--keep-empty"])
        main()

    def binarize(*arguments: str) -> None:
        from fairseq import options
        from fairseq_cli.preprocess import main

        # fairseq_cli.preprocess adds a log handler at each call
        monkeypatch.setattr(logging.getLogger("fairseq_cli.preprocess"), "handlers", [])
        main(options.get_preprocessing_parser().parse_args(["--only-source", "--workers", "1", *arguments]))

    def run(task: TaskDefinition, raw: Path, vocabulary: Path, out: Path) -> Path:
        work = tmp_path / "processed"
        work.mkdir()
        fields = {}
        for split in task.splits:
            lines = (raw / split.source.file).read_text(encoding="utf-8-sig").split("\n")
            columns = list(split.source.columns) or lines.pop(0).split("\t")
            rows = [line.split("\t") for line in lines if line]
            for name, column in [*zip(("input0", "input1"), task.sentences), *[("label", task.label)] * split.labelled]:
                fields[split.name, name] = work / f"{split.name}.raw.{name}"
                fields[split.name, name].write_text("".join(row[columns.index(column)] + "\n" for row in rows))
        for (split, name), path in fields.items():
            if name == "label":
                path.rename(work / f"{split}.label")
            else:
                bpe(vocabulary, path, work / f"{split}.{name}")
        for index in range(len(task.sentences)):
            prefixes = [f"--{split.name}pref={work / split.name}.input{index}" for split in task.splits]
            binarize(*prefixes, f"--destdir={out / f'input{index}'}", f"--srcdict={vocabulary / 'dict.txt'}")
        if task.regression:
            (out / "label").mkdir()
            for split in ("train", "valid"):
                scores = (work / f"{split}.label").read_text().split()
                (out / "label" / f"{split}.label").write_text("".join(f"{float(score) / 5:g}\n" for score in scores))
        else:
            prefixes = [f"--trainpref={work / 'train'}.label", f"--validpref={work / 'valid'}.label"]
            binarize(*prefixes, f"--destdir={out / 'label'}")
        return out

    return run
