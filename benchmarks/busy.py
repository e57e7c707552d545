"""`python -m benchmarks busy`: how much longer `odekit run` takes beside one busy program for each processor."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.options import AsJson
from benchmarks.output import print_progress, print_result
from benchmarks.processes import parse_usage, usage_command
from benchmarks.table import Goal, Row, Table
from odekit.core import device
from odekit.core.processors import LoadWatch, usable_processors

ROOT = Path(__file__).parents[1]
LONGEST = 600
"""Seconds after which a busy program ends by itself, whatever happens to the benchmark."""
BUSY = f"import time\nend = time.monotonic() + {LONGEST}\nwhile time.monotonic() < end: pass"
"""By the clock that never jumps: a step of the system's clock would end it at once."""
SPINNING = {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"}
"""How threads wait where nothing is set: the defaults of GNU's implementation, and of Intel's and LLVM's."""
WAYS: dict[str, dict[str, str]] = {"spinning": SPINNING, "odekit": {}}
COLUMNS = {
    "job": "job", "way": "threads that wait", "idle": "idle s", "idle_processor": "processor s",
    "loaded": "loaded s", "loaded_processor": "processor s", "ratio": "times as long",
}  # fmt: skip
SLOWER, LOADED = 1.02, 2.2
"""Largest ratio of the idle times with odekit's way and by default, and of the loaded and the idle time."""
FACES = 2


def command(
    job: Annotated[
        list[str] | None,
        typer.Option(help="A chain for the pictures, with settings after blanks; repeatable; default: photo, odedit."),
    ] = None,
    picture: Annotated[
        list[Path] | None, typer.Option(help="Pictures of chains for photographs; default: one with two faces.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="The fastest round counts.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Wall time of `odekit run` with nothing else running, and beside a busy program for each processor.

    Example: python -m benchmarks busy --job photo --job "odedit restore.inverter.steps=20"
    """
    print_result(busy(job or ["photo", "odedit"], picture or [], rounds), as_json)


def busy(jobs: Sequence[str], pictures: Sequence[Path] = (), rounds: int = 1) -> Table:
    """A row for each job and each way to wait: the fastest of some rounds, idle and loaded.

    Args:
        jobs: chain and settings of each, `odedit restore.inverter.steps=20`.
        pictures: of the jobs whose chain begins with "photo" or "old-photo"; the others restore two damaged faces.
        rounds: the ways take turns within each.
    """
    others = LoadWatch().others(1.0)
    rows: list[Row] = []
    goals: list[Goal] = []
    with tempfile.TemporaryDirectory() as place:
        for job in jobs:
            inputs = list(pictures) or [ROOT / "examples/photos/speakers.jpg"] if "photo" in job.split()[0] else faces()
            both = {way: measured(job, inputs, Path(place), way) for way in WAYS}
            for _ in range(rounds - 1):
                for way, row in both.items():
                    keep_least(row, measured(job, inputs, Path(place), way))
            for row in both.values():
                rows.append(row | {"ratio": row["loaded"] / row["idle"]})
            spinning, own = rows[-2:]
            goals += [
                Goal(f"{job}: idle, against spinning", own["idle"] / spinning["idle"], most=SLOWER),
                Goal(f"{job}: loaded, against idle", own["ratio"], most=LOADED),
            ]
    how = f"odekit run, {device.describe_machine('cpu')}; {usable_processors()} busy programs when loaded"
    how += f", least of {rounds} round(s); at the start other programs used {others:.1f} processors"
    return Table("busy", how, COLUMNS, rows, goals, ("job", ("idle", "loaded")))


def faces() -> list[Path]:
    """The first damaged faces of the checkout's examples."""
    return sorted((ROOT / "examples" / "damaged").glob("*.png"))[:FACES]


def measured(job: str, inputs: Sequence[Path], place: Path, way: str) -> Row:
    """Wall and processor seconds of a job, idle and loaded."""
    row: Row = {"job": job, "way": way}
    for state, count in (("idle", 0), ("loaded", usable_processors())):
        with busy_programs(count):
            row[state], row[f"{state}_processor"] = run(job, inputs, place, WAYS[way])
        print_progress(
            f"{job}, {way}, {state}: {row[state]:.1f} s, {row[f'{state}_processor']:.1f} s of processor time"
        )
    return row


def keep_least(row: Row, other: Row) -> None:
    """Keep the faster of two measurements of one job, for each state."""
    for state in ("idle", "loaded"):
        if other[state] < row[state]:
            row |= {key: other[key] for key in (state, f"{state}_processor")}


@contextlib.contextmanager
def busy_programs(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Programs that only compute, as long as the block runs and at most for `LONGEST` seconds."""
    programs = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield programs
    finally:
        for program in programs:
            program.kill()
            program.wait()


def run(job: str, inputs: Sequence[Path], place: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one run in a fresh process, at most `LONGEST`. Raises RuntimeError if it fails."""
    chain, *settings = job.split()
    options = [word for setting in settings for word in ("--set", setting)]
    words = usage_command("run", chain, *inputs, "-o", place / "out", "--overwrite", "--json", *options)
    chosen = {name: value for name, value in os.environ.items() if name not in SPINNING}
    began = time.perf_counter()
    done = subprocess.run(
        words, check=False, capture_output=True, text=True, env=chosen | variables, timeout=LONGEST, cwd=ROOT
    )
    usage = parse_usage(words, done.returncode, done.stdout, done.stderr, began)
    return usage["wall"], usage["cpu"]
