"""`python -m benchmarks scale`: CPU time and memory of the runner over many files, and resuming a finished run."""

from __future__ import annotations

import contextlib
import itertools
import resource
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.network_share import idle
from benchmarks.options import AsJson
from benchmarks.output import print_figures
from benchmarks.processes import megabytes, parse_usage, usage_command
from benchmarks.table import Figure
from odekit.core.image import Image
from odekit.images import io
from odekit.images.formats import encode

SIDE = 64
IDENTITY = "odekit: 1\nname: identity\nchain:\n  - save: {format: png}\n"
"""A chain that reads and writes, with no stage between."""


def command(
    files: Annotated[int, typer.Option(min=100, help="Number of files that are generated and run.")] = 100_000,
    fewer: Annotated[int, typer.Option(min=1, help="Files of the run that memory is compared with.")] = 10_000,
    faces: Annotated[int, typer.Option(min=0, help="Faces for the share of the network; 0 leaves it out.")] = 64,
    as_json: AsJson = False,
) -> None:
    """CPU time, memory and resuming of the runner over many small files; the share of time the network works.

    Example: python -m benchmarks scale --files 2000 --fewer 200 --faces 24
    """
    figures = scale(files, fewer)
    if faces:
        figures.append(idle(max(faces, 16)))
    print_figures(figures, as_json)


def scale(files: int = 100_000, fewer: int = 10_000) -> list[Figure]:
    """The figures over `files` generated files of 64 px; memory is compared with a run over `fewer` of them."""
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
    growth = megabytes(whole) - megabytes(small)
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
    """Write PNG files of a noise image with the file's number in its first pixels, a thousand in each folder."""
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
    """The usage of one whole run (see `parse_usage`).

    `meanwhile` is called while it runs, for a tenth of the time.
    """
    words = usage_command("run", root / "identity.yaml", root / "in", "-o", root / out, "--json", *more)
    out_file, err_file = root / f"{out}.out", root / f"{out}.err"
    began = time.perf_counter()
    with out_file.open("w") as stdout, err_file.open("w") as stderr:
        process = subprocess.Popen(words, stdout=stdout, stderr=stderr)
        while process.poll() is None:
            pause = None
            if meanwhile is not None:
                then = time.perf_counter()
                meanwhile()
                pause = 10 * (time.perf_counter() - then)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(pause)
    return parse_usage(words, process.returncode, out_file.read_text(), err_file.read_text(), began)


class BareLoop:
    """Samples of a bare loop, taken during a run, because the speed of a shared machine varies."""

    def __init__(self, paths: list[Path], folder: Path, size: int = 50) -> None:
        self.paths = itertools.cycle(paths)
        self.folder = folder
        self.size = size
        folder.mkdir()
        self.spent: list[float] = []
        self.sample()
        del self.spent[:]  # the first one imports decoders

    def sample(self) -> None:
        """Take one sample."""
        part = list(itertools.islice(self.paths, self.size))
        self.spent.append(plain_loop(part, self.folder / uuid.uuid4().hex))

    @property
    def mean(self) -> float:
        """CPU seconds per file over all samples; takes one where there are none."""
        if not self.spent:
            self.sample()
        return sum(self.spent) / len(self.spent)


def plain_loop(paths: list[Path], out: Path) -> float:
    """CPU seconds per file of reading, decoding, encoding and writing files in a bare loop in this process."""
    out.mkdir()
    before = resource.getrusage(resource.RUSAGE_SELF)
    for path in paths:
        (out / path.name).write_bytes(encode.encode(io.read(path), "png"))
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / len(paths)
