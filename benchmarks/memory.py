"""`python -m benchmarks memory`: peak memory of a whole run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.options import AsJson
from benchmarks.output import print_figures
from benchmarks.processes import MAIN, PRINT_PEAK
from benchmarks.table import Figure


def command(
    faces: Annotated[int, typer.Option(min=1, help="Number of aligned faces.")] = 64, as_json: AsJson = False
) -> None:
    """Peak memory of `odekit run odedit` on aligned faces.

    Example: python -m benchmarks memory
    """
    print_figures([memory(faces)], as_json)


def memory(faces: int = 64, steps: int = 4) -> Figure:
    """Peak resident memory of `odekit run odedit` on aligned faces; few steps, since memory does not grow with them."""
    import numpy as np

    from odekit.core.image import Image
    from odekit.images.io import write

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "faces"
        folder.mkdir()
        for i in range(faces):
            pixels = np.random.Generator(np.random.Philox(i)).random((3, 64, 64), dtype=np.float32)
            write(Image(pixels), folder / f"{i}.png", format="png")
        settings = ["--set", f"restore.inverter.steps={steps}", "--set", "restore.enhancer.iterations=1"]
        python = [sys.executable, "-c", f"{PRINT_PEAK}\n{MAIN}"]
        run = ["run", "odedit", str(folder), "-o", f"{place}/out", *settings]
        finished = subprocess.run([*python, *run], check=True, capture_output=True, text=True)
    peak = int(finished.stdout.split()[-1]) / 1e9
    return Figure(f"peak memory, {faces} aligned faces", peak, "GB", 1.5, 1, f"{steps} levels, batch 8")
