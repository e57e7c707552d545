"""Torch's libraries are in memory before torch is imported, and nothing depends on it."""

import importlib.util
import subprocess
import sys
import types

import pytest

from odekit.core import torch_libraries
from odekit.core.torch_libraries import load_torch_libraries

PROGRAM = """
import sys
from pathlib import Path
from odekit.core.torch_libraries import load_torch_libraries
loaded = load_torch_libraries()
print(loaded, "torch" in sys.modules, "libtorch_cpu" in Path("/proc/self/maps").read_text())
import torch
print(float((torch.ones(4, 4) @ torch.ones(4, 4)).sum()), load_torch_libraries())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="loads nothing on other systems")
def test_the_libraries_are_loaded_and_torch_is_imported_as_always():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["True False True", "64.0 False"], done.stderr


@pytest.fixture
def unloaded(monkeypatch):
    """As in a process that has not imported torch."""
    monkeypatch.setattr(torch_libraries, "sys", types.SimpleNamespace(platform="linux", modules={}))


@pytest.mark.parametrize("name", ["no torch", "without libraries", "not a library"])
def test_another_build_of_torch_is_left_alone(unloaded, monkeypatch, tmp_path, name):
    spec = types.SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    if name == "not a library":
        (tmp_path / "lib").mkdir()
        for library in torch_libraries.LIBRARIES:
            (tmp_path / "lib" / library).write_text("text")
    monkeypatch.setattr(importlib.util, "find_spec", lambda module: None if name == "no torch" else spec)
    assert load_torch_libraries() is False


def test_other_systems_load_nothing(unloaded, monkeypatch):
    monkeypatch.setattr(torch_libraries.sys, "platform", "darwin")
    assert load_torch_libraries() is False
