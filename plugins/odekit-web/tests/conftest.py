"""A server as `odekit web` starts it, for all tests of a module."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from .serve import RELEASE, register

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


@contextmanager
def running(folder):
    """A server with its files in a folder."""
    port, release, log = free_port(), folder / "release", folder / "log"
    env = os.environ | {"ODEKIT_HOME": str(folder / "home"), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        command = [sys.executable, HERE / "serve.py", "--port", str(port)]
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=env | {RELEASE: str(release)}, cwd=folder)
    server = Server(f"http://127.0.0.1:{port}", process, log, release)
    try:
        wait_for_start(server)
        yield server
    finally:
        process.terminate()
        process.wait(180)  # a busy machine
    assert not list(folder.glob("odekit-web-*")), "its files are removed when it ends"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def start_server(tmp_path):
    """Starts a server of the test's own."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(running(tmp_path))


@pytest.fixture
def chains(monkeypatch, tmp_path):
    """The chains of `serve`, in this process."""
    import odekit

    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "home"))
    before = dict(odekit.catalog().chains)
    register()
    yield
    odekit.catalog().chains.clear()
    odekit.catalog().chains.update(before)


@pytest.fixture(scope="module")
def engine():
    """Restores."""
    from odekit_web.engine import Engine

    return Engine()


@pytest.fixture
def visit():
    """A visit that ends with the test."""
    from odekit_web.visit import Visit

    visit = Visit()
    yield visit
    visit.close()


@pytest.fixture(scope="module")
def driver():
    """A browser."""
    from browsing import chromium

    with chromium(1280, 1500) as driver:
        yield driver


@pytest.fixture
def person(driver, server):
    """Who uses the page."""
    from .driving import Person

    server.release.unlink(missing_ok=True)
    return Person(driver, server.address)
