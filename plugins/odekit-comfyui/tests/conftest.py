"""The nodes as ComfyUI loads them, and a chain that takes milliseconds."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

import odekit

from . import comfy_stand_in

PACK = Path(__file__).parent.parent
EXACT = """\
odekit: 1
name: exact
priors: {face: {use: mixture, side: 8}}
chain:
  - restore: {inverter: {use: ode, steps: 4}, enhancer: {use: langevin, levels: [0], iterations: 2, rule: variance}}
"""


@pytest.fixture
def nodes(monkeypatch, tmp_path):
    """The nodes by id, from the folder of the pack under a name of ComfyUI's choice."""
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path / "odekit-home"))
    comfy_stand_in.install(monkeypatch)
    name = "custom_nodes.odekit-comfyui"
    spec = importlib.util.spec_from_file_location(name, PACK / "__init__.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)

    async def load():
        return await (await module.comfy_entrypoint()).get_node_list()

    yield {node.define_schema().node_id: node for node in asyncio.run(load())}
    for loaded in [key for key in sys.modules if key.startswith(f"{name}.")]:
        del sys.modules[loaded]


@pytest.fixture
def exact(tmp_path, monkeypatch):
    """A chain in the catalogue that takes milliseconds."""
    path = tmp_path / "exact.yaml"
    path.write_text(EXACT)
    monkeypatch.setitem(odekit.catalog().chains, "exact", path)
    return "exact"
