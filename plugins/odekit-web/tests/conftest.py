"""A server as `odekit web` starts it, for all tests of a module."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from .serve import RELEASE

HERE = Path(__file__).parent


@dataclass
class Server:
    """A running page."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    release: Path
    """Ends the chain `held` when it is there."""


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_start(server, patience=900):
    """Until the page answers; a busy machine takes minutes to load its libraries."""
    end = time.monotonic() + patience
    while True:
        try:
            urllib.request.urlopen(server.address, timeout=20).close()
            return
        except (urllib.error.URLError, OSError):
            assert server.process.poll() is None, server.log.read_text()
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    env = os.environ | {"ODEKIT_HOME": str(folder / "home"), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    release = folder / "release"
    env |= {RELEASE: str(release)}
    log = folder / "log"
    with log.open("wb") as stream:
        command = [sys.executable, HERE / "serve.py", "--port", str(port)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=env, cwd=folder)
    running = Server(f"http://127.0.0.1:{port}", process, log, release)
    try:
        wait_for_start(running)
        yield running
    finally:
        process.terminate()
        process.wait(180)  # a busy machine
    assert not list(folder.glob("odekit-web-*")), "its files are removed when it ends"
