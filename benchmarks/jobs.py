"""`python -m benchmarks jobs`: the job book over a large number of jobs that compute nothing."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.options import AsJson
from benchmarks.output import print_figures
from benchmarks.scale import IDENTITY
from benchmarks.table import Figure
from odekit.chains.chain import Chain
from odekit.core.device import peak_memory_bytes
from odekit.core.image import Image
from odekit.images.formats import encode
from odekit.runs.engine import Engine
from odekit.runs.jobs import JobBook
from odekit.runs.summary import RunOptions

LINKS = 1000
"""Names of one file: a simulated archive has this many links to each of its files. All names are in one folder, which
is what the layout `hashed` is for: with inputs in folders it makes a folder for nearly every result."""
SIDE = 8


def command(
    jobs: Annotated[int, typer.Option(min=1000, help="Number of jobs.")] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """Memory and time of the job book over a million jobs, and of a resume that finds all of them done.

    Works in the folder for temporary files (TMPDIR): 9 KB of disk and two files for each job, which are removed at the
    end.

    Example: python -m benchmarks jobs --jobs 2000
    """
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "identity.yaml").write_text(IDENTITY, encoding="utf-8")
        archive(root / "in", jobs)
        first, again = (apart(root) for _ in range(2))
        print_figures(figures(jobs, first, again), as_json)  # first, since the removal of the files takes minutes


def figures(jobs: int, first: dict[str, Any], again: dict[str, Any]) -> list[Figure]:
    """The figures of a run over `jobs` new jobs, and of the resume after it."""
    peaks = " and ".join(f"{run['peak']:.0f}" for run in (first, again))
    return [
        Figure(
            "memory growth while jobs are finished", first["growth"], "MB", 50.0, jobs,
            f"{jobs:,} identity jobs of {SIDE} px, from the first tenth on; the plan takes {first['plan']:.0f} MB, the "
            f"program {first['before']:.0f} MB; peak of the run and of the resume: {peaks} MB",
        ),
        Figure("CPU of a job", 1e3 * first["cpu"] / jobs, "ms", 1.0, jobs, f"{first['wall']:.0f} s"),
        Figure(
            "resume of finished jobs", again["wall"], "s", 60.0, jobs,
            f"start of the program, plan ({again['planned']:.1f} s), settings, `done` for each; CPU "
            f"{again['cpu']:.0f} s, {again['done']:,} done",
        ),
    ]  # fmt: skip


def archive(folder: Path, jobs: int) -> None:
    """Write a simulated archive: one folder, with a new small picture for every `LINKS` names."""
    base = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    folder.mkdir(parents=True)
    for start in range(0, jobs, LINKS):
        base[0, 0] = start // LINKS % 256, start // LINKS // 256, 0
        original = folder / f"{start:08}.png"
        original.write_bytes(encode.encode(Image.from_uint8(base), "png"))
        for number in range(start + 1, min(start + LINKS, jobs)):
            os.link(original, folder / f"{number:08}.png")


def apart(root: Path) -> dict[str, Any]:
    """`work` in a process of its own; its figures and its wall time."""
    began = time.perf_counter()
    words = [sys.executable, "-c", f"from benchmarks.jobs import work; work({str(root)!r})"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures | {"wall": time.perf_counter() - began}


def work(root: str) -> None:
    """Plan, settle, and finish what is not done; prints figures as JSON."""
    import torch  # noqa: F401  # what the program takes is no part of the plan

    place, before, started, began = Path(root), megabytes(), cpu_seconds(), time.perf_counter()
    chain = Chain.load(str(place / "identity.yaml"))
    book = JobBook(chain, RunOptions(place / "out", resume=True, layout="hashed"))
    jobs = book.plan([place / "in"])
    planned, plan_seconds, done, tenth, opened = megabytes(), time.perf_counter() - began, 0, 0.0, 0.0
    with book.opened():
        book.settlement.write(book.settle(jobs))
        engine = None
        for number, job in enumerate(book.ahead(jobs)):
            if number == len(jobs) // 10:
                tenth = megabytes()
            if book.done(job.name, job.file):
                done += 1
                continue
            if engine is None:
                engine = Engine(book.session())
                opened = cpu_seconds()
            image, source = book.read(job)
            book.finish(job, engine.run([image])[0], source)
    sys.stdout.write(
        json.dumps(
            {
                "before": before, "plan": planned - before, "planned": plan_seconds, "done": done,
                "growth": megabytes() - tenth, "peak": peak_memory_bytes() / 1e6,
                "cpu": cpu_seconds() - (opened or started),
            }
        )
        + "\n"
    )  # fmt: skip


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def megabytes() -> float:
    """Memory of this process at present, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
