"""How fast pictures are damaged and measured, and that memory does not grow with their number.

Whole processes are measured from outside: processor time with that of their helpers, which other programs on the
machine change little, beside the wall's.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import MAIN
from benchmarks.scale import SIDE, USAGE, generate
from benchmarks.table import Goal, Row, Table
from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.parts.corruptions.kinds import KINDS

CORES = 2
"""The figures are those of two cores."""
PER_SECOND = 300.0
PAIRS, SECONDS = 2000, 20.0
GROWTH = 50.0
"""MB between the fewer files and all."""
COLUMNS = {
    "what": "what",
    "ms": "processor ms a picture",
    "rate": "pictures/s on 2 cores",
    "wall": "wall s",
    "rss": "peak memory, MB",
}


def rates(files: int = 20_000, fewer: int = 2_000, repeats: int = 20) -> Table:
    """A row for each kind of damage alone, and for `odekit degrade --kind paper` and `odekit eval` as programs."""
    rows = [alone(kind, repeats) for kind in KINDS]
    with tempfile.TemporaryDirectory() as place:
        start, some, every = (degraded(Path(place), count) for count in (2, fewer, files))
        opening, little, much = (judged(Path(place), count) for count in (2, fewer, files))
    rows += [
        row("odekit degrade --kind paper", every, files, start),
        row("odekit eval", much, files, opening),
    ]
    pairs = (opening["cpu"] + (little["cpu"] - opening["cpu"]) * PAIRS / fewer) / CORES
    goals = [
        Goal("odekit degrade, the 20 kinds in turn", rows[-2]["rate"], least=PER_SECOND, unit="pictures/s"),
        Goal(f"odekit eval, {PAIRS:,} pairs, start included", pairs, most=SECONDS, unit="s"),
        Goal(f"degrade: memory over {files:,} files against {fewer:,}", grown(some, every), most=GROWTH, unit="MB"),
        Goal(f"eval: memory over {files:,} pairs against {fewer:,}", grown(little, much), most=GROWTH, unit="MB"),
    ]
    how = f"{SIDE} px, severity 4; kinds alone {repeats} times in one process, programs over {files:,} files"
    return Table("rates", how, COLUMNS, rows, goals, ("ms", ("rate",)))


def degraded(root: Path, count: int) -> dict[str, Any]:
    """So many generated files, damaged by the program."""
    generate(root / f"in{count}", count)
    return program("degrade", root / f"in{count}", "-o", root / f"out{count}", "--kind", "paper")


def judged(root: Path, count: int) -> dict[str, Any]:
    """These, measured by the program."""
    metrics = "psnr,ssim,swd,ciede2000"
    return program("eval", root / f"out{count}", "--reference", root / f"in{count}", "--metrics", metrics)


def alone(kind: str, repeats: int) -> Row:
    """The damage itself on a picture in memory."""
    images = [picture(i) for i in range(repeats)]
    damage(images[0], kind, 0, 4)
    before = _spent()
    for image in images:
        damage(image, kind, 0, 4)
    each = (_spent() - before) / repeats
    return {"what": kind, "ms": 1e3 * each, "rate": CORES / max(each, 1e-9), "wall": "", "rss": ""}


def picture(seed: int) -> Image:
    """A smooth picture with some grain, named by its seed, since damage depends on the name's picture alone."""
    rng = np.random.Generator(np.random.Philox(seed))
    coarse = rng.random((3, 8, 8)).repeat(SIDE // 8, 1).repeat(SIDE // 8, 2)
    return Image(np.clip(coarse + 0.02 * rng.standard_normal(coarse.shape), 0, 1).astype(np.float32))


def row(what: str, used: dict[str, Any], count: int, start: dict[str, Any]) -> Row:
    """A program over `count` files, its start taken off the processor time."""
    each = (used["cpu"] - start["cpu"]) / count
    return {"what": what, "ms": 1e3 * each, "rate": CORES / each, "wall": used["wall"], "rss": megabytes(used)}


def program(*arguments: object) -> dict[str, Any]:
    """One whole `odekit` process: CPU seconds, peak memory (as ru_maxrss) and wall time.

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    command = [sys.executable, "-c", USAGE + MAIN, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"odekit {' '.join(command[3:])} ended with {done.returncode}: {done.stderr[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"wall": time.perf_counter() - began}


def megabytes(used: dict[str, Any]) -> float:
    """Of the process and its largest helper."""
    return float(used["rss"]) * (1 if sys.platform == "darwin" else 1024) / 1e6


def grown(less: dict[str, Any], more: dict[str, Any]) -> float:
    """MB."""
    return megabytes(more) - megabytes(less)


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
