"""Downloads into the weights store: resumption, several URLs, verification, locking, and acceptance of licences."""

import errno
import io
import json
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress

import numpy as np
import pytest
from loopback import serve, sha256

from odekit.errors import PluginError, WeightsError
from odekit.plugins.catalog import Weights
from odekit.plugins.weights import download, store, web
from odekit.plugins.weights.fetch import WeightsDownloader
from odekit.plugins.weights.lookup import verify_weights
from odekit.plugins.weights.store import stored_path, weights_folder


def safetensors(seed=0, numbers=20_000):
    """The bytes of a complete safetensors file."""
    data = np.random.Generator(np.random.Philox(seed)).standard_normal(numbers).astype("<f4").tobytes()
    head = json.dumps({"w": {"dtype": "F32", "shape": [numbers], "data_offsets": [0, len(data)]}}).encode()
    return len(head).to_bytes(8, "little") + head + data


FILE = safetensors()


@pytest.fixture(scope="module")
def running():
    with serve() as server:
        yield server


@pytest.fixture
def server(running, tmp_path, monkeypatch):
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ODEKIT_OFFLINE", raising=False)
    monkeypatch.setattr(download, "RETRY_DELAY", 0.0)
    running.pages.clear()
    running.asked.clear()
    return running


def weights(*urls, known=True, **more):
    known = {"sha256": sha256(FILE), "size": len(FILE)} if known else {}
    facts = {"licence": "MIT", "commercial_use": True, "filename": "net.safetensors", "urls": urls}
    return Weights("net", "somebody", **(facts | known | more))


def pull(what, **how):
    lines = []
    path = WeightsDownloader(verify_weights, on_message=lines.append, **how).run(what)
    return path, lines


def fault(what, **how):
    with pytest.raises(WeightsError) as caught:
        pull(what, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rest(what):
    """The files in the folder of the weights, without the lock."""
    return (
        sorted(p.name for p in weights_folder(what).iterdir() if p.name != ".lock")
        if weights_folder(what).exists()
        else []
    )


def test_a_file_is_fetched_verified_and_written_down(server):
    what = weights(server.put("net", FILE))
    told = []
    path, _ = pull(what, on_progress=lambda here, total: told.append((here, total)))
    assert path.read_bytes() == FILE and path == stored_path(what)
    assert rest(what) == ["net.safetensors", "odekit.json"]
    known = store.read_receipt(weights_folder(what))
    assert (known.sha256, known.source, known.other) == (sha256(FILE), what.urls[0], False)
    assert told[0] == (0, len(FILE)) and told[-1] == (len(FILE), len(FILE))
    server.pages.clear()
    assert pull(what)[0] == path, "what is here is not asked for again"
    assert len(server.asked) == 1


def test_cut_connections_are_resumed_where_they_were_cut(server):
    what = weights(server.put("net", FILE, cuts=[30_000, 10_000, 1]))
    assert pull(what)[0].read_bytes() == FILE
    assert server.asked == [("net", None), ("net", "bytes=30000-"), ("net", "bytes=40000-"), ("net", "bytes=40001-")]


def test_a_later_process_goes_on_where_an_earlier_one_was_killed(server):
    what = weights(server.put("net", FILE, cuts=[30_000] + [0] * download.MAX_FAILURES))
    assert "interrupted after 30000 of" in fault(what)
    assert not stored_path(what).exists() and (weights_folder(what) / "net.safetensors.part").stat().st_size == 30_000
    server.pages["net"].cuts.clear()
    assert pull(what)[0].read_bytes() == FILE
    assert server.asked[-1] == ("net", "bytes=30000-")


def test_a_server_that_cannot_resume_starts_over(server):
    what = weights(server.put("net", FILE, cuts=[30_000], ranges=False))
    assert pull(what)[0].read_bytes() == FILE


def test_a_file_that_changed_meanwhile_is_not_pieced_together(server):
    """The SHA-256 is unknown, so only the server can confirm that the file is still the same."""
    what = weights(server.put("net", FILE, cuts=[30_000] + [0] * download.MAX_FAILURES), known=False)
    fault(what)
    other = safetensors(1)
    server.put("net", other, etag='"two"')
    assert pull(what)[0].read_bytes() == other
    server.put("bare", FILE, etag=None, cuts=[30_000])
    assert pull(weights(f"{server.address}/bare", known=False), force=True)[0].read_bytes() == FILE
    assert server.asked[-1] == ("bare", None), "without a validator of the server it starts over"


def test_a_part_of_another_file_does_not_spoil_the_download(server):
    what = weights(server.put("net", FILE))
    weights_folder(what).mkdir(parents=True)
    part = weights_folder(what) / "net.safetensors.part"
    for content in (b"x" * 50, b"x" * len(FILE), b"x" * (len(FILE) + 9)):
        part.write_bytes(content)
        assert pull(what, force=True)[0].read_bytes() == FILE


def test_the_next_place_is_tried_after_404_wrong_file_and_no_answer(server):
    wrong = bytes([FILE[0], *FILE[1:-1], FILE[-1] ^ 1])
    places = [
        f"{server.address}/absent",
        "http://127.0.0.1:9/nobody",
        server.put("short", FILE[:-4]),
        server.put("wrong", wrong),
        server.put("page", b"<html>sorry</html>", kind="text/html; charset=utf-8"),
        server.put("mirror", FILE),
    ]
    what = weights(*places)
    path, lines = pull(what)
    assert path.read_bytes() == FILE and store.read_receipt(weights_folder(what)).source == places[-1]
    for reason in (
        "404",
        "connection failed",
        f"{len(FILE) - 4} bytes instead of {len(FILE)}",
        "another file",
        "web page",
    ):
        assert any(reason in line for line in lines), reason
    message = fault(weights(*places[:-1]), force=True)
    assert all(place in message for place in places[:-1]) and "odekit weights add net FILE" in message


def test_half_a_file_of_one_place_and_half_of_the_next_make_one(server):
    what = weights(server.put("one", FILE, cuts=[30_000] + [0] * download.MAX_FAILURES), server.put("two", FILE))
    assert pull(what)[0].read_bytes() == FILE
    assert server.asked[-1] == ("two", "bytes=30000-")
    wrong = b"x" * len(FILE)
    what = weights(server.put("one", wrong, cuts=[30_000] + [0] * download.MAX_FAILURES), server.put("two", FILE))
    assert pull(what, force=True)[0].read_bytes() == FILE
    assert server.asked[-1] == ("two", None), "the mixture was dropped and fetched anew"


def test_a_file_that_is_exchanged_between_two_connections_is_fetched_anew(server):
    """The server sends no validator (ETag); the SHA-256 reveals the exchange."""
    what = weights(server.put("net", b"x" * len(FILE), etag=None, cuts=[30_000]))
    page = server.pages["net"]

    def exchange():
        if len(server.asked) > 1:
            page.content = FILE

    page.wait = exchange
    assert pull(what)[0].read_bytes() == FILE
    assert [wanted for _, wanted in server.asked] == [None, "bytes=30000-", None]


def test_a_wrong_file_never_gets_the_name(server):
    what = weights(server.put("net", b"x" * len(FILE)))
    assert sha256(b"x" * len(FILE)) in fault(what)
    assert rest(what) == []


def test_a_busy_server_is_asked_again(server):
    assert pull(weights(server.put("net", FILE, status=[503, 429])))[0].read_bytes() == FILE
    what = weights(server.put("gone", FILE, status=[503] * 9))
    assert "503" in fault(what, force=True)
    assert [name for name, _ in server.asked].count("gone") == download.MAX_FAILURES


def test_without_a_published_hash_the_first_file_is_remembered(server):
    what = weights(server.put("net", FILE), known=False)
    path, _ = pull(what)
    assert store.read_receipt(weights_folder(what)).sha256 == sha256(FILE)
    path.write_bytes(safetensors(1))
    with pytest.raises(WeightsError, match="has changed since it was added"):
        verify_weights(what)
    path, lines = pull(what)
    assert path.read_bytes() == FILE and "fetching it again" in lines[0]


@pytest.mark.parametrize(
    "content, reason", [(FILE[:-9], "truncated"), (b"<!doctype html>", "safetensors"), (b"", "empty")]
)
def test_without_a_published_hash_the_file_must_at_least_be_whole(server, content, reason):
    what = weights(server.put("net", content, length=False), known=False)
    assert reason in fault(what)
    assert rest(what) == []


def test_a_non_commercial_licence_must_be_accepted(server):
    what = weights(server.put("net", FILE), licence="S-Lab 1.0", commercial_use=False)
    message = fault(what)
    assert "S-Lab 1.0" in message and "odekit weights pull net --accept-licence" in message
    assert fault(what, accept=lambda weights: False) == message
    assert server.asked == [] and rest(what) == []
    pull(what, accept=lambda weights: True)
    assert store.read_receipt(weights_folder(what)).accepted == "S-Lab 1.0"


def test_offline_nothing_is_asked_of_the_network(server, monkeypatch):
    what = weights(server.put("net", FILE))
    assert "--offline" in fault(what, offline=True)
    monkeypatch.setenv("ODEKIT_OFFLINE", "1")
    assert "ODEKIT_OFFLINE" in fault(what)
    assert server.asked == []
    monkeypatch.setenv("ODEKIT_OFFLINE", "0")
    path, _ = pull(what)
    assert pull(what, offline=True)[0] == path


def test_own_places_come_first_and_only_the_web_is_a_place(server):
    what = weights(f"{server.address}/absent")
    assert pull(what, extra_urls=[server.put("mine", FILE)])[0].read_bytes() == FILE
    assert [name for name, _ in server.asked] == ["mine"]
    assert "http" in fault(what, extra_urls=["file:///etc/passwd"], force=True)
    assert "no URL is registered" in fault(weights(), force=True)


def test_a_full_disk_is_reported_and_the_download_resumes_later(server, monkeypatch):
    what = weights(server.put("net", FILE))

    class Full(download.Download):
        def _copy(self, answer, here, total, mode):
            with self.part.open(mode) as file:
                file.write(answer.read(30_000))
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("odekit.plugins.weights.fetch.Download", Full)
        message = fault(what)
    assert "the disk is full" in message and "ODEKIT_HOME" in message and "net.safetensors.part" in message
    assert not stored_path(what).exists()
    assert pull(what)[0].read_bytes() == FILE
    assert server.asked[-1] == ("net", "bytes=30000-")


def test_a_full_disk_is_detected_before_the_first_byte(server, monkeypatch):
    what = weights(server.put("net", FILE))
    monkeypatch.setattr(store.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1000})())
    message = fault(what)
    assert "1.0 kB left" in message and "80.1 kB are needed" in message
    assert "net.safetensors" not in rest(what)


def test_a_store_that_cannot_be_written_is_reported(server, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "file"))
    message = fault(weights(server.put("net", FILE)))
    assert "cannot be written" in message and "ODEKIT_HOME" in message


SCRIPT = """
import sys
from odekit.plugins.catalog import Weights
from odekit.plugins.weights.fetch import WeightsDownloader
from odekit.plugins.weights.lookup import verify_weights
url, sha256, size = sys.argv[1:]
what = Weights("net", "somebody", "MIT", True, sha256, int(size), [url], "net.safetensors")
print("ready", flush=True)
sys.stdin.readline()
print(WeightsDownloader(verify_weights, on_message=lambda text: print(text, flush=True)).run(what), flush=True)
"""


def test_two_processes_at_once_fetch_one_file_once(server):
    begun = threading.Event()
    both = threading.Event()

    def slow():
        begun.set()
        both.wait(20)

    url = server.put("net", FILE, wait=slow)
    command = [sys.executable, "-c", SCRIPT, url, sha256(FILE), str(len(FILE))]
    pair = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]
    try:
        for process in pair:
            assert process.stdout.readline() == "ready\n"
        pair[0].stdin.write("go\n")
        pair[0].stdin.flush()
        assert begun.wait(20)
        pair[1].stdin.write("go\n")
        pair[1].stdin.flush()
        assert "another process" in pair[1].stdout.readline()
        both.set()
        said = [process.communicate(timeout=30)[0] for process in pair]
    finally:
        for process in pair:
            process.kill()
    assert [process.returncode for process in pair] == [0, 0]
    assert all(text.strip().endswith("net.safetensors") for text in said)
    assert len(server.asked) == 1
    assert stored_path(weights()).read_bytes() == FILE


def test_a_killed_process_leaves_neither_lock_nor_half_a_file(server):
    begun = threading.Event()
    url = server.put("net", FILE, wait=lambda: (begun.set(), time.sleep(0.5)))
    command = [sys.executable, "-c", SCRIPT, url, sha256(FILE), str(len(FILE))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("go\n")
        process.stdin.flush()
        assert begun.wait(20)
        process.kill()
    assert not stored_path(weights()).exists()
    server.pages["net"].wait = None
    assert pull(weights(url))[0].read_bytes() == FILE


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b"])
def test_names_are_plain_file_names(name):
    with pytest.raises(PluginError, match="letters, digits"):
        Weights(name, "somebody", "MIT", True)
    if name:
        with pytest.raises(PluginError, match="letters, digits"):
            Weights("net", "somebody", "MIT", True, filename=name)


def test_the_file_has_the_name_in_the_url_by_default():
    assert Weights("net", "somebody", "MIT", True, urls=["https://a.org/x/net.pth?download=1"]).file == "net.pth"
    assert Weights("net", "somebody", "MIT", True).file == "net.safetensors"


@contextmanager
def raw_server(answer):
    """A server that does with each connection whatever it likes; gives its URL."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with suppress(OSError):
                self.request.recv(65536)
                answer(self.request.sendall)

    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as made:
        made.daemon_threads = True
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}/net.safetensors"
        made.shutdown()


def endless(send, sent):
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n")
    for _ in range(2000):
        send(bytes(1 << 20))
        sent.append(1 << 20)


def test_a_download_without_a_length_ends_at_the_stated_size(server):
    sent = []
    with raw_server(lambda send: endless(send, sent)) as url:
        what = weights(url)
        assert f"more than {len(FILE)} bytes" in fault(what)
    assert sum(sent) < 100 << 20
    assert rest(what) == []


def test_a_download_of_unknown_size_ends_at_the_largest_one(server, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 3 << 20)
    with raw_server(lambda send: endless(send, [])) as url:
        assert f"more than {3 << 20} bytes" in fault(weights(url, known=False))


def drip(send, head):
    send(head)
    for _ in range(600):
        send(b"x")
        time.sleep(0.05)


def test_a_server_that_sends_byte_by_byte_is_given_up_and_what_came_is_kept(server, monkeypatch):
    monkeypatch.setattr(download, "SLACK_SECONDS", 0.5)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(FILE)}\r\n\r\n".encode()
    with raw_server(lambda send: drip(send, head)) as url:
        began = time.monotonic()
        assert "less than 10 kB/s" in fault(weights(url))
        assert time.monotonic() - began < 10
    assert "net.safetensors.part" in rest(weights())


def test_a_server_that_cuts_after_each_byte_is_given_up(server, monkeypatch):
    monkeypatch.setattr(download, "SLACK_SECONDS", 0.5)
    monkeypatch.setattr(download, "RETRY_DELAY", 0.05)
    what = weights(server.put("net", FILE, cuts=[1] * 10_000))
    began = time.monotonic()
    assert "less than 10 kB/s" in fault(what)
    assert time.monotonic() - began < 15


def test_headers_that_never_end_are_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(download, "ANSWER_SECONDS", 0.3)
    with raw_server(lambda send: drip(send, b"HTTP/1.1 200 OK\r\nX-Slow: ")) as url:
        began = time.monotonic()
        assert "no answer within 0.3 s" in fault(weights(url))
        assert time.monotonic() - began < 15


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "http://[::1", "//"])
def test_a_redirect_leads_to_the_web_only(server, place):
    answer = f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(lambda send: send(answer)) as url:
        message = fault(weights(url))
    assert any(reason in message for reason in ("URL", "to url", "infinite loop"))
    assert "net.safetensors" not in rest(weights())


def test_a_redirect_within_the_web_is_followed_but_not_out_of_https(server):
    there = server.put("net", FILE)
    answer = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(lambda send: send(answer)) as url:
        assert pull(weights(url))[0].read_bytes() == FILE
    request = urllib.request.Request("https://a.org/x")
    with pytest.raises(web.Refused, match="not encrypted"):
        web._WebOnly().redirect_request(request, io.BytesIO(), 302, "", {}, "http://a.org/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1", "http://a:b/net", "http://a.org:99999/net", "http:///net", "http://", "http://a b/net",
        "http://a\nb/net", f"http://{'a' * 64}.org/net", "http://\udcff.org/net", "https:net", "http://a.org/\x00",
    ],
)  # fmt: skip
def test_a_malformed_url_is_one_line(server, url):
    began = time.monotonic()
    message = fault(weights(f"{server.address}/absent"), extra_urls=[url])
    assert "is not a valid URL" in message
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "1e3", "0x10"])
def test_a_malformed_length_is_as_none(server, length):
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode("latin-1") + FILE
    with raw_server(lambda send: send(answer)) as url:
        assert pull(weights(url))[0].read_bytes() == FILE
