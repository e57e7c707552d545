"""`python -m benchmarks figures`: makes every calibration and figure anew that belongs to weights of the package.

A step is done once it has ended well with the weights and calibrations that are there now; the rest runs. So the
command goes on where it was stopped, and after new weights it repeats what depends on them.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from odekit.chains.document import parse_yaml
from odekit.cli.show import print_stderr, print_table
from odekit.core.files import ASSETS, write_atomic, write_json
from odekit.errors import ConfigError

ROOT = Path(__file__).parents[1]
STEPS = Path(__file__).with_name("figures.yaml")
SOLVER_TABLES, SOLVER_PAGE = Path("docs/solvers"), "docs/solvers.md"
BOOK = "figures.json"
"""The file with the digest and the seconds of every step that ended well."""


@dataclass(frozen=True)
class Step:
    """One command, and what its figures depend on."""

    name: str
    run: str
    of: tuple[str, ...] = ()
    """Folders of `odekit/assets`."""
    writes: str = ""
    """The file in there that the step replaces: what it depends on are the other files."""
    takes: str = ""
    """The file that takes what the step prints; default: a text file in the folder of the figures."""
    page: str = ""
    """The page that has the table of that file."""

    def digest(self, assets: Path = ASSETS) -> str:
        """SHA-256 over the command and the files that its figures depend on."""
        total = hashlib.sha256(self.run.encode())
        for folder in self.of:
            for path in sorted((assets / folder).iterdir()):
                if path.suffix not in (".md", "") and path.name != Path(self.writes).name:
                    total.update(f"{folder}/{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        return total.hexdigest()

    def words(self, places: Mapping[str, str]) -> list[str]:
        """The command, run by this Python, with `{name}` replaced by the place of that name."""
        first, *rest = (filled(word, places) for word in shlex.split(self.run))
        return [sys.executable, *(() if first == "python" else ("-m", first)), *rest]


@dataclass
class Book:
    """What is done, in a file."""

    file: Path
    done: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Book:
        """The book of a folder; empty where there is none. Raises ConfigError where it is something else."""
        if not file.exists():
            return cls(file)
        try:
            return cls(file, dict(json.loads(file.read_text(encoding="utf-8"))))
        except ValueError as error:
            raise ConfigError(f"{file}: not the book of finished figures ({error}); remove it to begin anew") from error

    def has(self, step: Step) -> bool:
        """Whether the step ended well with what it depends on now."""
        return self.done.get(step.name, {}).get("digest") == step.digest()

    def finish(self, step: Step, seconds: float) -> None:
        """Note that a step ended well."""
        self.done[step.name] = {"digest": step.digest(), "seconds": round(seconds, 1), "command": step.run}
        write_json(self.file, self.done)


def command(
    data: Annotated[Path, typer.Option("--data", help="Folder with faces64.npz, faces256/ and photos/.", exists=True)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for what the steps print.")] = Path("runs/figures"),
    quick: Annotated[bool, typer.Option("--quick", help="20 faces, no calibration, no page.")] = False,
    only: Annotated[list[str] | None, typer.Option("--only", help="A step by name; repeatable.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the steps and what would run.")] = False,
) -> None:
    """Make calibrations, tables and pictures of the package's weights anew; go on where it was stopped.

    Example: python -m benchmarks figures --data faces/
    """
    steps = chosen(read_steps("quick" if quick else "full"), only or [])
    book = Book.read(out / ("quick-" * quick + BOOK))
    if dry_run:
        rows = [(step.name, "done" if book.has(step) else "to do", step.run) for step in steps]
        print_table("", ("step", "state", "command"), rows)
        return
    rows, failed = [], False
    for number, step in enumerate(steps, 1):
        if book.has(step):
            rows.append((step.name, "was done", f"{book.done[step.name]['seconds']:g}"))
            continue
        print_stderr(f"{number} of {len(steps)}: {step.name}: {step.run}")
        began = time.monotonic()
        code = run(step, places_of(steps, step, data, out), out)
        seconds = time.monotonic() - began
        if code == 0:
            book.finish(step, seconds)
        failed |= code != 0
        rows.append((step.name, "done" if code == 0 else f"FAILED with exit code {code}", f"{seconds:.0f}"))
    print_table(str(out), ("step", "state", "seconds"), rows)
    if failed:
        raise typer.Exit(3)


def filled(word: str, places: Mapping[str, str]) -> str:
    """A word with every `{name}` of these places replaced; other braces stay, such as those of YAML."""
    for name, place in places.items():
        word = word.replace(f"{{{name}}}", place)
    return word


def read_steps(kind: str) -> list[Step]:
    """The steps of `figures.yaml`, and those of the solver tables that measure a prior of the package."""
    listed = parse_yaml(STEPS.read_text(encoding="utf-8"), STEPS.name).data[kind]
    steps = [Step(**entry | {"of": tuple(entry["of"])}) for entry in listed]
    return steps + (solver_steps() if kind == "full" else [])


def solver_steps() -> list[Step]:
    """The tables of docs/solvers.md whose command names a prior of the package."""
    steps = []
    for file in sorted((ROOT / SOLVER_TABLES).glob("*.json")):
        words = json.loads(file.read_text(encoding="utf-8"))["command"]
        if "--prior face64" in words:
            takes = f"{SOLVER_TABLES}/{file.name}"
            steps.append(Step(file.stem, f"{words} --json", ("face64",), takes=takes, page=SOLVER_PAGE))
    return steps


def chosen(steps: Sequence[Step], names: Sequence[str]) -> list[Step]:
    """The steps of these names; all for none. Raises ConfigError for a name that no step has."""
    known = [step.name for step in steps]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such step; there are {', '.join(known)}")
    return [step for step in steps if not names or step.name in names]


def places_of(steps: Iterable[Step], step: Step, data: Path, out: Path) -> dict[str, str]:
    """What `{data}`, `{work}` and the names of other steps, for their folders, stand for."""
    places = {one.name: str(work_of(one, out)) for one in steps}
    return places | {"data": str(data.resolve()), "work": str(work_of(step, out))}


def work_of(step: Step, out: Path) -> Path:
    """The folder of a step, another one for other weights."""
    return out.resolve() / f"{step.name}-{step.digest()[:8]}"


def run(step: Step, places: Mapping[str, str], out: Path) -> int:
    """Run a step in the checkout; what it prints is kept once it has ended well. Returns its exit code."""
    done = subprocess.run(step.words(places), cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if done.returncode == 0:
        file = ROOT / step.takes if step.takes else out.resolve() / f"{step.name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(done.stdout, file)
        if step.page:
            fill = [sys.executable, "-m", "benchmarks", "page", str(file), "-o", step.page]
            return subprocess.run(fill, cwd=ROOT, check=False).returncode
    return done.returncode
