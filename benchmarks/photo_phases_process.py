"""One `odekit run photo` in a process of its own, timed phase by phase.

`python -m benchmarks.photo_phases_process BEGAN REPORT ARGUMENT...` runs `odekit ARGUMENT...` and writes JSON to
REPORT: the wall and processor seconds of each phase, without those of the phases inside it, and its peak memory in GB.
BEGAN is `time.time()` when the process was launched.
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import time
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

START, REST = "start and imports", "rest"
PHASES = (
    ("odekit.runs.runner", "Runner._open", "networks loaded"),
    ("odekit.runs.runner", "Runner._restore", REST),
    ("odekit.runs.pipeline", "Pipeline._next_batch", "read"),
    ("odekit.parts.repair.mend", "MendStage.run", "mend measured"),
    ("odekit.parts.repair.deblock", "remove_blocks", "mend done"),
    ("odekit.parts.repair.deblur", "remove_blur", "mend done"),
    ("odekit.parts.repair.denoise", "DenoiseStage.run", "denoise measured"),
    ("odekit.parts.repair.denoise", "remove_noise", "denoise done"),
    ("odekit.parts.repair.denoise", "remove_impulses", "denoise done"),
    ("odekit.parts.faces.find", "FaceFinder.find", "search of faces"),
    ("odekit.parts.stages.faces", "FacesStage.run", "faces cut out"),
    ("odekit.parts.stages.restore", "RestoreStage.run", "faces restored"),
    ("odekit.parts.stages.upsample", "UpsampleStage.run", "faces restored"),
    ("odekit.parts.stages.faces", "FacesStage._photos", "paste"),
    ("odekit.images.tone", "measure_tone", "tone measured"),
    ("odekit.runs.pipeline", "Pipeline._submit_write", "write"),
    ("odekit.runs.pipeline", "Pipeline._collect_written", "write"),
)
"""Module, function, and the phase that its time belongs to."""


class Phases:
    """Seconds of each phase: of the innermost one in progress."""

    def __init__(self, began: float) -> None:
        self.times: dict[str, list[float]] = {}
        self.stack = [START]
        self.wall, self.processor = began, 0.0

    def turn(self) -> None:
        """Add the time since the last turn to the phase in progress."""
        wall, processor = time.time(), time.process_time()
        spent = self.times.setdefault(self.stack[-1], [0.0, 0.0, 0.0])
        spent[0] += wall - self.wall
        spent[1] += processor - self.processor
        spent[2] = max(spent[2], peak_since_last_gb())
        self.wall, self.processor = wall, processor

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """A phase within the one in progress."""
        self.turn()
        self.stack.append(name)
        try:
            yield
        finally:
            self.turn()
            self.stack.pop()

    def watch(self, module: ModuleType, path: str, phase: str) -> None:
        """Time a function of a module, or a method of one of its classes."""
        *owners, name = path.split(".")
        owner = functools.reduce(getattr, owners, module)
        original = getattr(owner, name)

        @functools.wraps(original)
        def timed(*args: Any, **options: Any) -> Any:
            with self.inside(phase):
                return original(*args, **options)

        setattr(owner, name, timed)


class WatchOnImport(PathFinder):
    """Times functions of modules as soon as the command imports these: to import them before would change its times."""

    def __init__(self, phases: Phases) -> None:
        self.phases = phases

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:  # type: ignore[override]
        """The module as others find it, with its functions watched once it is executed."""
        watched = [(function, phase) for module, function, phase in PHASES if module == fullname]
        spec = PathFinder.find_spec(fullname, path, target) if watched else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_watch(module: ModuleType) -> None:
            execute(module)
            for function, phase in watched:
                self.phases.watch(module, function, phase)

        spec.loader.exec_module = execute_and_watch  # type: ignore[method-assign]
        return spec


def peak_since_last_gb() -> float:
    """Largest resident memory of this process since the last call, in GB; 0 where the system does not tell (Linux)."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0.0
    return float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def main(began: str, report: str, *arguments: str) -> None:
    """Run the command, then write the report."""
    phases = Phases(float(began))
    sys.meta_path.insert(0, WatchOnImport(phases))
    from odekit.cli import main as command

    sys.argv = ["odekit", *arguments]
    code: Any = 0
    try:
        command()
    except SystemExit as ended:
        code = ended.code
    phases.turn()
    Path(report).write_text(json.dumps({"phases": phases.times, "code": code}))


if __name__ == "__main__":
    main(*sys.argv[1:])
