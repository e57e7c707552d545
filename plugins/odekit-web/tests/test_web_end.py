"""The server ends soon after a signal, and leaves nothing."""

import signal
import time
import urllib.request

import pytest
from gradio_client import Client, handle_file

from .damaged import damaged_photo
from .driving import wait_for

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.parametrize("chain", ["", "held", "photo"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_two_seconds_also_in_a_run(start_server, tmp_path, chain, number):
    server = start_server()
    if chain:
        client = Client(server.address, verbose=False)
        photo = handle_file(damaged_photo(tmp_path / "a.png", side=512))
        job = client.submit(photo, chain, "heavy" if chain == "photo" else "auto", None, "as the chain does", "", api_name="/restore")  # fmt: skip
        wait_for(lambda: job.status().code.value == "PROCESSING", "the run")
    stream = urllib.request.urlopen(f"{server.address}/gradio_api/heartbeat/abc")  # as an open page has
    begin = time.monotonic()
    server.process.send_signal(number)
    server.process.wait(60)
    took = time.monotonic() - begin
    stream.close()
    assert took <= 2.5, f"{took:.1f} s"
    assert not list(server.release.parent.glob("odekit-web-*"))
    assert "Traceback" not in server.log.read_text(), server.log.read_text()
