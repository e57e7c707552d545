"""Time and memory of `odekit run photo` in a fresh process, phase by phase."""

from __future__ import annotations

import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.first_call import PATH
from benchmarks.photo_picture import NOISE, draw_photograph
from benchmarks.table import Goal, Row, Table
from odekit.core import device
from odekit.errors import OdekitError

COLUMNS = {"photo": "photograph", "phase": "phase", "wall": "wall s", "processor": "processor s", "gb": "peak GB"}
WHOLE = "whole command"
SECONDS = {"undamaged.jpg": 4.0, "noisy.jpg": 12.0}
"""Wall seconds that the command may take for a drawn photograph on two idle cores."""
MOST_GB = 1.2


def photo_phases(pictures: Sequence[Path]) -> Table:
    """A row for each phase of each photograph, and one for the whole command.

    Args:
        pictures: photographs; none: two drawn ones of 12 megapixels with four faces, undamaged and with noise.
    """
    rows: list[Row] = []
    goals: list[Goal] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if not pictures:
            draw_photograph().save(folder / "undamaged.jpg", quality=95)
            draw_photograph(NOISE).save(folder / "noisy.jpg", quality=95)
            pictures = [folder / name for name in SECONDS]
        for picture in pictures:
            phases = run_timed(picture, folder / "out")
            whole = {name: sum(one[i] for one in phases.values()) for i, name in enumerate(("wall", "processor"))}
            whole["gb"] = max(one[2] for one in phases.values())
            rows += [
                {"photo": picture.name, "phase": phase, "wall": wall, "processor": processor, "gb": gb}
                for phase, (wall, processor, gb) in phases.items()
            ]
            rows.append({"photo": picture.name, "phase": WHOLE} | whole)
            if picture.name in SECONDS:
                goals.append(Goal(f"{picture.name}: wall time", whole["wall"], most=SECONDS[picture.name], unit="s"))
                goals.append(Goal(f"{picture.name}: peak memory", whole["gb"], most=MOST_GB, unit="GB"))
            if picture.name == "undamaged.jpg":
                same = filecmp.cmp(picture, folder / "out" / picture.name, shallow=False)
                goals.append(Goal(f"{picture.name}: the result is the same file", float(same), least=1))
    how = f"odekit run photo, one photograph, {device.describe_machine('cpu')}; {device.describe_load()}"
    return Table("photo", how, COLUMNS, rows, goals, ("phase", ("wall", "processor")))


def run_timed(picture: Path, out: Path) -> dict[str, list[float]]:
    """Wall seconds, processor seconds and peak memory of each phase of a run.

    Raises:
        OdekitError: the run failed.
    """
    report = out.with_name("report.json")
    process = [sys.executable, "-m", "benchmarks.photo_phases_process", str(time.time()), str(report)]
    command = ["run", "photo", str(picture), "-o", str(out), "--overwrite"]
    finished = subprocess.run(
        [*process, *command], check=False, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": PATH}
    )
    measured: dict[str, Any] = json.loads(report.read_text()) if report.is_file() else {"code": finished.returncode}
    if measured["code"]:
        raise OdekitError(f"odekit {' '.join(command)} failed: {finished.stderr.strip()[-200:]}")
    phases: dict[str, list[float]] = measured["phases"]
    return phases
