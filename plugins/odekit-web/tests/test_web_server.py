"""The server over HTTP: bound to this machine, its API as documented, what is refused, memory."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import PIL.Image
import psutil
import pytest
from gradio_client import Client, handle_file

from .conftest import free_port
from .damaged import ROOT, damaged_photo
from .driving import wait_for

PAGE = (ROOT / "docs" / "web.md").read_text()
AS_IT_DOES = "as the chain does"


def fetch(address, headers=None):
    """(status, headers, body) of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers or {}), timeout=120) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.fixture(scope="module")
def client(server):
    return Client(server.address, verbose=False)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    rng = np.random.Generator(np.random.Philox(1))
    PIL.Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    return path


def restore(client, path, chain="quick", strength="auto", fidelity=None, scratches=AS_IT_DOES, leave=""):
    return client.predict(handle_file(path), chain, strength, fidelity, scratches, leave, api_name="/restore")


def test_it_is_bound_to_this_machine_alone(server):
    port = int(server.address.rpartition(":")[2])
    listening = {c.laddr.ip for c in psutil.Process(server.process.pid).net_connections() if c.status == psutil.CONN_LISTEN and c.laddr.port == port}  # fmt: skip
    assert listening == {"127.0.0.1"}
    assert "share" not in server.log.read_text() and f"odekit is at {server.address}" in server.log.read_text()


def test_the_page_may_ask_nobody_else(server):
    status, headers, body = fetch(server.address)
    assert status == 200 and headers["content-security-policy"].startswith("default-src 'self'")
    config = json.loads(fetch(f"{server.address}/config")[2])
    assert config["analytics_enabled"] is False
    assert not re.findall(rb"<(?:script|link|img)[^>]+(?:src|href)=\"https?://", body)


def test_another_name_is_refused(server):
    assert fetch(server.address, {"Host": "evil.example"})[0] == 403


def test_what_is_not_served_is_said_so(server):
    status, _, body = fetch(f"{server.address}/monitoring")
    assert status == 403 and body == b"this page has no such address"


def test_a_taken_port_is_one_line(server):
    port = server.address.rpartition(":")[2]
    done = subprocess.run([sys.executable, "-m", "odekit", "web", "--port", port], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "choose another --port" in done.stderr
    done = subprocess.run([sys.executable, "-m", "odekit", "web", "--listen", "no.such.name", "--port", str(free_port())], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_one_picture_over_the_api(client, photo):
    path, record, text = restore(client, photo)
    assert np.array_equal(np.asarray(PIL.Image.open(path)), 255 - np.asarray(PIL.Image.open(photo)))
    record = json.loads(Path(record).read_text())
    assert text == "turned to its negative" and record["input"]["path"] == "photo.png" and record["changed"] is True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"chain": "phto"}, "did you mean 'photo'"),
        ({"chain": "lacking"}, "not-there"),
        ({"strength": "strong"}, "choose auto, none, light, medium, heavy"),
        ({"fidelity": 3}, "fidelity 3: choose a number from 0 to 1"),
        ({"fidelity": "a"}, "fidelity 'a': choose a number from 0 to 1"),
        ({"fidelity": "nan"}, "fidelity 'nan': choose a number from 0 to 1"),
        ({"fidelity": [1]}, r"fidelity \[1\]: choose a number from 0 to 1"),
        ({"fidelity": True}, "fidelity True: choose a number from 0 to 1"),
        ({"strength": [1]}, "strength .*: choose auto, none"),
        ({"chain": "x" * 5000}, r"chain 'x{75}\.\.\.': choose a name"),
        ({"leave": "x"}, "write numbers of faces"),
        ({"leave": "\u00b2"}, "write numbers of faces"),
        ({"leave": "99"}, "there is no face 99"),
    ],
)
def test_a_wrong_choice_is_an_error_in_words(server, client, photo, arguments, message):
    before = len(server.log.read_text())
    with pytest.raises(Exception, match=message):
        restore(client, photo, **arguments)
    assert "Traceback" not in server.log.read_text()[before:]


def test_html_and_a_bomb_are_refused_by_their_content(client, tmp_path):
    from .test_web_work import png

    for name, data in (("page.png", b"<html></html>"), ("bomb.png", png(60_000, 60_000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(Exception, match=name):
            restore(client, tmp_path / name)


def event(server, data):
    """The last event of a call with raw data."""
    body = json.dumps({"data": data}).encode()
    request = urllib.request.Request(
        f"{server.address}/gradio_api/call/restore", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        number = json.load(answer)["event_id"]
    return fetch(f"{server.address}/gradio_api/call/restore/{number}")[2].decode()


def test_files_outside_cannot_be_read(server, tmp_path):
    secret = tmp_path / "secret.png"
    PIL.Image.new("RGB", (8, 8)).save(secret)
    for path in (secret, Path("/etc/passwd"), server.log):
        assert fetch(f"{server.address}/gradio_api/file={path}")[0] == 403
        file = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
        answer = event(server, [file, "quick", "auto", None, AS_IT_DOES, ""])
        assert "event: error" in answer and "not uploaded" in answer


def test_addresses_are_not_fetched(server):
    assert fetch(f"{server.address}/gradio_api/file=http://127.0.0.1/a.png")[0] == 403
    file = {"path": "http://example.com/a.png", "url": "http://example.com/a.png", "meta": {"_type": "gradio.FileData"}}
    answer = event(server, [file, "quick", "auto", None, AS_IT_DOES, ""])
    assert "addresses are not read; upload the file" in answer


def upload(server, *paths, headers=()):
    """(status, answer) of an upload with curl, as a browser or a program sends it."""
    parts = [word for path in paths for word in ("-F", f"files=@{path}")]
    lines = [word for header in headers for word in ("-H", header)]
    command = ["curl", "-s", "-w", "\n%{http_code}", *parts, *lines, f"{server.address}/gradio_api/upload"]
    answer, _, status = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    return int(status), answer


def stored(server):
    """All files that the server holds."""
    return {path for path in server.release.parent.rglob("odekit-web-*/**/*") if path.is_file()}


def test_a_large_file_does_not_refuse_the_others_of_its_drop(server, photo, tmp_path):
    large = tmp_path / "large.png"
    with large.open("wb") as stream:
        stream.truncate(60_000_000)
    status, answer = upload(server, photo, large, photo)
    assert status == 200
    first, cut, last = (Path(path) for path in json.loads(answer))
    assert first.read_bytes() == last.read_bytes() == photo.read_bytes()
    assert cut.stat().st_size == 50 * 2**20 + 1  # no more reaches the disk
    file = {"path": str(cut), "meta": {"_type": "gradio.FileData"}}
    assert "large.png: is larger than 50 MB" in event(server, [file, "quick", "auto", None, AS_IT_DOES, ""])


def test_an_upload_that_breaks_off_leaves_no_file(server):
    before = stored(server)
    with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as line:
        head = "POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"  # fmt: skip
        line.sendall(head.encode() + b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n')
        line.sendall(bytes(1_000_000))
        wait_for(lambda: stored(server) - before, "the beginning of the file")
    wait_for(lambda: not stored(server) - before, "the file to be removed")


def test_a_request_without_files_has_a_limit_too(server):
    data = json.dumps({"data": ["x" * 9_000_000]}).encode()
    request = urllib.request.Request(f"{server.address}/gradio_api/call/restore", data, {"Content-Type": "application/json"})  # fmt: skip
    with pytest.raises(urllib.error.HTTPError, match="413"):
        urllib.request.urlopen(request)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", "http://127.0.0.1:{port}.evil.example"])  # fmt: skip
def test_pages_of_other_sites_store_nothing_and_read_nothing(server, photo, origin):
    header = "Origin: " + origin.format(port=server.address.rpartition(":")[2])
    before = stored(server)
    status, answer = upload(server, photo, headers=[header])
    assert status == 403 and "other sites" in answer and stored(server) == before
    assert fetch(f"{server.address}/config", dict([header.split(": ")]))[0] == 403


def test_the_page_itself_and_programs_may_upload(server, photo):
    assert upload(server, photo, headers=[f"Origin: {server.address}"])[0] == 200
    assert upload(server, photo)[0] == 200


@pytest.mark.parametrize("name", [".png", "..jpg", "...a.png", "-.png", "a.b.c.png", "%00.png", "a b+&.png", "\u00fc.png", "x" * 190 + ".png"])  # fmt: skip
def test_odd_names_give_a_picture_or_a_line_and_no_traceback(server, client, tmp_path, name):
    PIL.Image.new("RGB", (8, 8), (40, 0, 0)).save(tmp_path / name, format="PNG")
    before = len(server.log.read_text())
    path, record, _ = restore(client, tmp_path / name)
    assert PIL.Image.open(path).getpixel((0, 0)) == (215, 255, 255) and Path(record).suffix == ".json"
    assert "Traceback" not in server.log.read_text()[before:]


@pytest.mark.parametrize("path", ["file=%00", "file=" + "x" * 5000, "file=..%2f..%2fetc%2fpasswd", "stream/x/y/z", "component_server", "upload"])  # fmt: skip
def test_odd_addresses_give_an_answer_and_no_traceback(server, path):
    before = len(server.log.read_text())
    assert 400 <= fetch(f"{server.address}/gradio_api/{path}")[0] < 500
    assert "Traceback" not in server.log.read_text()[before:]


def test_two_visitors_at_once_both_get_their_picture(server, tmp_path):
    got, errors = {}, []

    def visit(number):
        try:
            path = tmp_path / f"{number}.png"
            PIL.Image.new("RGB", (16, 16), (40 * number, 0, 0)).save(path)
            got[number] = restore(Client(server.address, verbose=False), path)[0]
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=visit, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for number, path in got.items():
        assert PIL.Image.open(path).getpixel((0, 0)) == (255 - 40 * number, 255, 255)


@pytest.mark.parametrize("number", [10, pytest.param(100, marks=pytest.mark.long)])
def test_memory_is_flat_over_many_uploads(server, client, tmp_path, number):
    process, used = psutil.Process(server.process.pid), []
    rng = np.random.Generator(np.random.Philox(7))
    for upload in range(5 + number):
        path = tmp_path / f"{upload}.png"
        PIL.Image.fromarray(rng.integers(0, 256, (700, 1000, 3), dtype=np.uint8)).save(path, compress_level=0)
        shutil.rmtree(Path(restore(client, path)[0]).parent)
        path.unlink()
        used.append(process.memory_info().rss / 1e6)
    first, last = np.mean(used[2:5]), np.mean(used[-3:])
    print(f"{number} uploads of 2.1 MB: {first:.0f} MB, then {last:.0f} MB")
    assert last - first < 30  # a leak of every picture's pixels would be 8 MB a time


def documented(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_python_example_of_the_page_runs(server, tmp_path, monkeypatch):
    (program,) = [text for text in documented("python") if "gradio_client" in text]
    monkeypatch.chdir(tmp_path)
    damaged_photo(tmp_path / "family.jpg", side=200)
    exec(compile(program.replace("http://127.0.0.1:7860", server.address), "web.md", "exec"), {})
    assert (tmp_path / "restored.jpg").is_file()


def test_the_curl_example_of_the_page_runs(server, tmp_path):
    (script,) = [text for text in documented("sh") if "curl" in text]
    damaged_photo(tmp_path / "family.jpg", side=200)
    script = script.replace("http://127.0.0.1:7860", server.address)
    done = subprocess.run(["bash", "-euc", script], cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert "event: complete" in done.stdout and ".jpg.json" in done.stdout
    assert PIL.Image.open(tmp_path / "restored.jpg").size == (200, 200)
