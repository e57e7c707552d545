"""`python -m benchmarks rates`: images per second of `odekit degrade` and `odekit eval`, and their memory.

Whole processes are measured from outside: CPU time, which hardly depends on other programs, and wall time.
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_result
from benchmarks.processes import megabytes, parse_usage, usage_command
from benchmarks.scale import SIDE, generate
from benchmarks.table import Goal, Row, Table
from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.parts.corruptions.kinds import KINDS

CORES = 2
"""The number of cores that rates are given for."""
PER_SECOND = 300.0
PAIRS, SECONDS = 2000, 20.0
GROWTH = 50.0
"""MB of memory growth between fewer and all files."""
COLUMNS = {
    "what": "what",
    "ms": "processor ms a picture",
    "rate": "pictures/s on 2 cores",
    "wall": "wall s",
    "rss": "peak memory, MB",
}


def command(
    files: Annotated[int, typer.Option(min=3, help="Files that are generated, damaged and measured.")] = 20_000,
    fewer: Annotated[int, typer.Option(min=3, help="Files of the runs that memory is compared with.")] = 2_000,
    repeats: Annotated[int, typer.Option(min=1, help="Images for each kind of damage alone.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Images per second that `odekit degrade` damages and `odekit eval` measures, and their memory.

    Example: python -m benchmarks rates --files 200 --fewer 20 --repeats 2
    """
    print_result(rates(files, fewer, repeats), as_json)


def rates(files: int = 20_000, fewer: int = 2_000, repeats: int = 20) -> Table:
    """A row for each kind of damage alone, and for `odekit degrade --kind paper` and `odekit eval` as programs."""
    rows = [damage_row(kind, repeats) for kind in KINDS]
    with tempfile.TemporaryDirectory() as place:
        degrade_start, degrade_fewer, degrade_all = (degrade(Path(place), count) for count in (2, fewer, files))
        eval_start, eval_fewer, eval_all = (evaluate(Path(place), count) for count in (2, fewer, files))
    rows += [
        program_row("odekit degrade --kind paper", degrade_all, files, degrade_start),
        program_row("odekit eval", eval_all, files, eval_start),
    ]
    pairs = (eval_start["cpu"] + (eval_fewer["cpu"] - eval_start["cpu"]) * PAIRS / fewer) / CORES
    growth = [megabytes(b) - megabytes(a) for a, b in ((degrade_fewer, degrade_all), (eval_fewer, eval_all))]
    goals = [
        Goal("odekit degrade, the 20 kinds in turn", rows[-2]["rate"], least=PER_SECOND, unit="pictures/s"),
        Goal(f"odekit eval, {PAIRS:,} pairs, start included", pairs, most=SECONDS, unit="s"),
        Goal(f"degrade: memory over {files:,} files against {fewer:,}", growth[0], most=GROWTH, unit="MB"),
        Goal(f"eval: memory over {files:,} pairs against {fewer:,}", growth[1], most=GROWTH, unit="MB"),
    ]
    how = f"{SIDE} px, severity 4; kinds alone {repeats} times in one process, programs over {files:,} files"
    return Table("rates", how, COLUMNS, rows, goals, ("ms", ("rate",)))


def degrade(root: Path, count: int) -> dict[str, Any]:
    """The usage of `odekit degrade` on generated files."""
    generate(root / f"in{count}", count)
    return run_program("degrade", root / f"in{count}", "-o", root / f"out{count}", "--kind", "paper")


def evaluate(root: Path, count: int) -> dict[str, Any]:
    """The usage of `odekit eval` on the files of `degrade`."""
    metrics = "psnr,ssim,swd,ciede2000"
    return run_program("eval", root / f"out{count}", "--reference", root / f"in{count}", "--metrics", metrics)


def damage_row(kind: str, repeats: int) -> Row:
    """One kind of damage on images in memory."""
    images = [smooth_image(i) for i in range(repeats)]
    damage(images[0], kind, 0, 4)
    before = cpu_seconds()
    for image in images:
        damage(image, kind, 0, 4)
    each = (cpu_seconds() - before) / repeats
    return {"what": kind, "ms": 1e3 * each, "rate": CORES / max(each, 1e-9), "wall": "", "rss": ""}


def smooth_image(seed: int) -> Image:
    """A smooth image with some grain."""
    rng = np.random.Generator(np.random.Philox(seed))
    coarse = rng.random((3, 8, 8)).repeat(SIDE // 8, 1).repeat(SIDE // 8, 2)
    return Image(np.clip(coarse + 0.02 * rng.standard_normal(coarse.shape), 0, 1).astype(np.float32))


def program_row(what: str, usage: dict[str, Any], count: int, start: dict[str, Any]) -> Row:
    """A program over `count` files; the CPU time of its start is subtracted."""
    each = (usage["cpu"] - start["cpu"]) / count
    return {"what": what, "ms": 1e3 * each, "rate": CORES / each, "wall": usage["wall"], "rss": megabytes(usage)}


def run_program(*arguments: object) -> dict[str, Any]:
    """The usage of one whole `odekit` process (see `parse_usage`)."""
    began = time.perf_counter()
    words = usage_command(*arguments)
    finished = subprocess.run(words, capture_output=True, text=True)
    return parse_usage(words, finished.returncode, finished.stdout, finished.stderr, began)


def cpu_seconds() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
