"""What the runner costs beside the network: CPU time and memory over many files, and a resume of a finished run."""

from __future__ import annotations

import contextlib
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import MAIN, Figure
from odekit.core.image import Image
from odekit.images import io
from odekit.images.formats import encode

SIDE = 64
IDENTITY = "odekit: 1\nname: identity\nchain:\n  - save: {format: png}\n"
"""Reads and writes, and nothing between."""
USAGE = """import atexit, json, resource as r
def usage():
    own, kids = r.getrusage(r.RUSAGE_SELF), r.getrusage(r.RUSAGE_CHILDREN)
    said = {"cpu": own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime, "rss": own.ru_maxrss + kids.ru_maxrss}
    print(json.dumps(said), flush=True)
atexit.register(usage)
"""
"""Python that prints, at the end of a process, its CPU seconds and peak memory with those of its largest child."""


def scale(files: int = 100_000, fewer: int = 10_000) -> list[Figure]:
    """The figures over `files` generated files of 64 px, memory against a run over `fewer` of them."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        (root / "identity.yaml").write_text(IDENTITY, encoding="utf-8")
        paths = generate(root / "in", files)
        bare = BareLoop(paths, root / "bare")
        start = run(root, ["--limit", "1"], "one")["cpu"]
        small = run(root, ["--limit", str(fewer)], "fewer")
        whole = run(root, [], "all", bare.sample)
        again = run(root, ["--resume"], "all")
        codec = bare.mean
    each = (whole["cpu"] - start) / files
    growth = (whole["rss"] - small["rss"]) * (1 if sys.platform == "darwin" else 1024) / 1e6
    note = f"{files} files of {SIDE} px, identity chain"
    spent = (
        f"CPU {1e3 * each:.2f} ms a file, of which decode and encode {1e3 * codec:.2f}; {whole['wall']:.0f} s in all"
    )
    return [
        Figure(
            "runner beside a bare loop of decode and encode", 1e3 * (each - codec), "ms", 1.0, files, f"{note}; {spent}"
        ),
        Figure("memory growth", growth, "MB", 50.0, files, f"peak over {files} files against {fewer}"),
        Figure("resume of a finished run", again["wall"], "s", 20.0, files, "start of the program included"),
    ]


def generate(folder: Path, files: int) -> list[Path]:
    """PNG files of one noise picture with their number in its first pixels, a thousand to a folder."""
    base = np.random.Generator(np.random.Philox(0)).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    paths = []
    for i in range(files):
        path = folder / f"{i // 1000:03}" / f"{i:06}.png"
        if i % 1000 == 0:
            path.parent.mkdir(parents=True)
        base[0, :2] = np.frombuffer(int(i).to_bytes(6, "little"), np.uint8).reshape(2, 3)
        path.write_bytes(encode.encode(Image.from_uint8(base), "png"))
        paths.append(path)
    return paths


def run(root: Path, more: list[str], out: str, meanwhile: Callable[[], None] | None = None) -> dict[str, Any]:
    """One whole process; its CPU seconds, peak memory (kilobytes on Linux) and wall time.

    `meanwhile` is called now and then while it runs, a tenth of the time.
    """
    command = [sys.executable, "-c", USAGE + MAIN, "run", str(root / "identity.yaml"), str(root / "in")]
    said, complained = root / f"{out}.out", root / f"{out}.err"
    began = time.perf_counter()
    with said.open("w") as stdout, complained.open("w") as stderr:
        process = subprocess.Popen([*command, "-o", str(root / out), "--json", *more], stdout=stdout, stderr=stderr)
        while process.poll() is None:
            pause = None
            if meanwhile is not None:
                then = time.perf_counter()
                meanwhile()
                pause = 10 * (time.perf_counter() - then)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(pause)
    wall = time.perf_counter() - began
    if process.returncode:
        raise RuntimeError(
            f"odekit {' '.join(command[3:])}: exit code {process.returncode}: {complained.read_text()[-500:]}"
        )
    found: dict[str, Any] = json.loads(said.read_text().splitlines()[-1])
    return found | {"wall": wall}


class BareLoop:
    """Samples of a bare loop, taken while something else runs: on a machine that others use, speed changes."""

    def __init__(self, paths: list[Path], folder: Path, size: int = 50) -> None:
        self.paths = itertools.cycle(paths)
        self.folder = folder
        self.size = size
        folder.mkdir()
        self.spent: list[float] = []
        self.sample()
        del self.spent[:]  # the first one imports decoders

    def sample(self) -> None:
        """One more sample."""
        part = list(itertools.islice(self.paths, self.size))
        self.spent.append(plain_loop(part, self.folder / uuid.uuid4().hex))

    @property
    def mean(self) -> float:
        """CPU seconds a file, over all samples; one is taken where there are none."""
        if not self.spent:
            self.sample()
        return sum(self.spent) / len(self.spent)


def plain_loop(paths: list[Path], out: Path) -> float:
    """CPU seconds a file of reading, decoding, encoding and writing the same files in a bare loop in this process."""
    out.mkdir()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for path in paths:
        (out / path.name).write_bytes(encode.encode(io.read(path), "png"))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(paths)
