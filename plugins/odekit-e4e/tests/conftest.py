"""What the tests share: a file of a small network."""

import pytest
from conftest import caller

from .tiny import save


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    return save(tmp_path_factory.mktemp("e4e") / "own.pt")


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run `odekit ARGS` in this process, with a store of its own."""
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "odekit-home"))
    return caller("odekit.cli", capsys, monkeypatch)
