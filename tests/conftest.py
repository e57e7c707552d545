"""What many tests share: the command line in this process, exact chains, small faces."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

ROOT = Path(__file__).parent.parent

EXACT = """\
odekit: 1
name: exact
priors: {face: {use: mixture, side: 8}}
chain:
  - restore:
      inverter: {use: ode, steps: 10}
      enhancer: {use: langevin, levels: [0, 3], iterations: 4, rule: variance}
"""


@dataclass
class Finished:
    """What a command line gave."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or fills, the weight store of whoever runs it."""
    monkeypatch.setenv("ODEKIT_HOME", str(tmp_path_factory.getbasetemp() / "odekit-home"))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Run `odekit ARGS` in this process, as the installed command does."""
    return caller("odekit.cli", capsys, monkeypatch)


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Run `python -m benchmarks ARGS` in this process."""
    return caller("benchmarks.__main__", capsys, monkeypatch)


def caller(module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """Runs the function `main` of a module with arguments of a command line."""

    def call(*args: object) -> Finished:
        main = importlib.import_module(module).main
        monkeypatch.setattr(sys, "argv", ["odekit", *map(str, args)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return call


@pytest.fixture
def exact(tmp_path: Path) -> Path:
    """A chain on the exact mixture, 28 network calls, milliseconds long."""
    path = tmp_path / "exact.yaml"
    path.write_text(EXACT)
    return path


def picture(seed: int = 0, height: int = 8, width: int = 8) -> np.ndarray:
    """A reproducible uint8 (H, W, 3) picture."""
    return np.random.Generator(np.random.Philox(seed)).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder of seven small square pictures."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(7):
        PIL.Image.fromarray(picture(i)).save(folder / f"face{i}.png")
    return folder
