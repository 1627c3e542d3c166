"""Tests of the transfer of one file: broken connections, resumption, sizes and hashes."""

import hashlib
import random

import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import locked
from preprocess.download import download
from preprocess.transfer import CHUNK

CONTENT = random.Random(0).randbytes(300_000)
SIZE, SHA256 = len(CONTENT), hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def served(server):
    server.files["data.zip"] = CONTENT


@pytest.fixture
def target(tmp_path):
    return tmp_path / "folder" / "data.zip"


def refusal(url, target, size=SIZE, sha256=SHA256) -> str:
    """Returns the message of the error, which has one line; the target does not exist."""
    with pytest.raises(UserError) as error:
        download(url, target, size, sha256)
    assert not target.exists()
    assert "\n" not in str(error.value)
    return str(error.value)


def part(target):
    return target.with_name("data.zip.part")


@pytest.mark.parametrize("size, sha256", [(SIZE, SHA256), (SIZE, None), (None, None)])
def test_a_file_arrives_whole_and_alone(server, target, size, sha256):
    assert download(server.url + "data.zip", target, size, sha256) == target
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["data.zip"]


def test_a_file_that_is_there_is_not_fetched_again(server, target):
    for _ in range(2):
        download(server.url + "data.zip", target, SIZE, SHA256)
    assert server.ranges == [None]


def test_another_file_in_its_place_is_named_and_left(server, target):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(UserError, match=f"{target} has 4 bytes instead of {SIZE}"):
        download(server.url + "data.zip", target, SIZE, SHA256)
    assert target.read_bytes() == b"mine"


def test_a_broken_connection_goes_on_where_it_ended(server, target):
    server.stop_after = [6 * CHUNK, 3 * CHUNK]
    download(server.url + "data.zip", target, SIZE, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={6 * CHUNK}-", f"bytes={9 * CHUNK}-"]


def test_a_server_that_breaks_off_for_good_is_named_and_what_came_is_kept(server, target):
    server.stop_after = [6 * CHUNK] + [0] * 3
    assert f"broke off after {6 * CHUNK} bytes" in refusal(server.url + "data.zip", target)
    assert part(target).stat().st_size == 6 * CHUNK
    download(server.url + "data.zip", target, SIZE, SHA256)
    assert target.read_bytes() == CONTENT
    assert server.ranges[-1] == f"bytes={6 * CHUNK}-"


@pytest.mark.parametrize("size, sha256", [(SIZE, SHA256), (None, None)])
def test_a_part_that_is_complete_is_only_renamed(server, target, size, sha256):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT)
    download(server.url + "data.zip", target, size, sha256)
    assert target.read_bytes() == CONTENT
    assert server.ranges == [f"bytes={SIZE}-"]


@pytest.mark.parametrize("behaviour", ["ignore_ranges", "shift_ranges"])
def test_a_server_without_right_ranges_sends_it_all_again(server, target, behaviour):
    setattr(server, behaviour, True)
    server.stop_after = [100_000]
    download(server.url + "data.zip", target, SIZE, SHA256)
    assert target.read_bytes() == CONTENT


def test_a_server_that_never_gets_further_is_given_up(server, target):
    server.shift_ranges = True
    server.stop_after = [2 * CHUNK] * 100
    assert "broke off" in refusal(server.url + "data.zip", target)
    assert len(server.ranges) < 10


def test_an_empty_file_may_be_what_there_is(server, target):
    server.files["data.zip"] = b""
    assert download(server.url + "data.zip", target).read_bytes() == b""


def test_a_part_longer_than_the_file_is_begun_again(server, target):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT + b"more")
    download(server.url + "data.zip", target, SIZE, SHA256)
    assert target.read_bytes() == CONTENT


def test_another_announced_size_is_refused_before_a_byte_is_written(server, target):
    server.files["data.zip"] = CONTENT + b"more"
    assert f"announces {SIZE + 4} bytes instead of {SIZE}" in refusal(server.url + "data.zip", target)
    assert not part(target).exists()


def test_fewer_bytes_than_announced_break_off(server, target):
    server.announce = SIZE + 4
    server.ignore_ranges = True
    assert "broke off" in refusal(server.url + "data.zip", target, size=None, sha256=None)


def test_more_bytes_than_expected_are_refused(server, target):
    server.files["data.zip"] = CONTENT + b"more"
    server.no_length = True
    assert f"sends more than {SIZE} bytes" in refusal(server.url + "data.zip", target)
    assert not part(target).exists()


def test_other_bytes_are_refused_and_removed(server, target):
    server.files["data.zip"] = bytes(SIZE)
    assert f"instead of {SHA256}" in refusal(server.url + "data.zip", target)
    assert not part(target).exists()


def test_a_part_of_other_bytes_is_found_out_by_its_hash_and_removed(server, target):
    target.parent.mkdir()
    part(target).write_bytes(b"x" * 1000)
    assert "SHA-256" in refusal(server.url + "data.zip", target)
    download(server.url + "data.zip", target, SIZE, SHA256)


def test_no_size_at_all_is_refused(server, target):
    server.no_length = True
    assert "states no size" in refusal(server.url + "data.zip", target, size=None, sha256=None)


@pytest.mark.parametrize("status, words", [(404, "404 Not Found"), (503, "503 Service Unavailable")])
def test_an_error_of_the_server_is_named(server, target, status, words):
    server.status = status
    assert words in refusal(server.url + "data.zip", target)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/data.zip", "not-an-address"])
def test_no_server_is_one_clear_line(target, url):
    assert f"cannot reach {url}" in refusal(url, target)
    assert not part(target).exists()


def test_what_arrived_before_the_machine_went_offline_is_kept(target):
    target.parent.mkdir()
    part(target).write_bytes(CONTENT[:1000])
    assert "the 1000 bytes that arrived are kept" in refusal("http://127.0.0.1:9/data.zip", target)
    assert part(target).read_bytes() == CONTENT[:1000]


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/data.zip: cannot be written"):
        download(server.url + "data.zip", tmp_path / "file" / "data.zip")


def test_two_downloads_of_one_file_do_not_mix(server, target):
    target.parent.mkdir()
    with locked(target):
        assert f"{target} is being written by another run" in refusal(server.url + "data.zip", target)
    assert not part(target).exists()
