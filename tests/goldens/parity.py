"""Golden files against what the installed parts compute: `odekit bench parity`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldens.fill_check import fill_check
from odekit.errors import ConfigError, InputError
from odekit.plugins.catalog import Catalog, Claim, resolve
from odekit.testing.goldens import Golden, Layout, deviation, name_of

Verdict = Literal["ok", "off", "missing", "failed", "unclaimed", "skipped", "given"]
WRONG = ("off", "missing", "failed", "unclaimed")
GIVEN = ("seed_*", "*_head", "timesteps")
"""Arrays that say how a golden was made; single whole numbers and texts do so too."""
FILL_CHECK = "fill_check.json"


@dataclass(frozen=True)
class Row:
    """One stored array and how near the installed part comes to it."""

    file: str
    array: str
    verdict: Verdict
    error: float | None = None
    """Largest difference over the largest stored value."""
    tolerance: float | None = None
    note: str = ""

    @property
    def wrong(self) -> bool:
        """Whether this row makes the whole comparison fail."""
        return self.verdict in WRONG

    def tree(self) -> dict[str, Any]:
        """For JSON, where infinity has no number."""
        finite = self.error is None or math.isfinite(self.error)
        return asdict(self) | {"ok": not self.wrong, "error": self.error if finite else None}


def golden_files(folder: Path, only: str = "*") -> list[Path]:
    """The golden files of a folder whose names fit a pattern.

    Raises:
        InputError: no folder, or none in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; name the one that holds the golden files")
    found = sorted(p for p in folder.iterdir() if p.suffix in (".npz", ".json") and fnmatchcase(p.name, only))
    if not found:
        raise InputError(f"{folder}: holds no golden file (.npz or .json) that fits '{only}'")
    return found


def parity(folder: Path, catalog: Catalog, only: str = "*") -> Iterator[Row]:
    """A row per stored array, file by file as they are computed; the check of the filling comes last."""
    layouts: list[Layout] = []
    files = golden_files(folder, only)
    for path in files:
        if path.name == FILL_CHECK:
            continue
        claim = catalog.goldens.get(name_of(path)[0])
        if claim is None:
            yield Row(path.name, "*", "unclaimed", note="no installed part claims this golden file")
            continue
        yield from compare(path, claim, layouts)
    if folder / FILL_CHECK in files:
        for name, error, note in fill_check(folder / FILL_CHECK, layouts):
            verdict: Verdict = "skipped" if error is None else "ok" if error == 0 else "off"
            yield Row(FILL_CHECK, name, verdict, error, 0.0, note)


def compare(path: Path, claim: Claim, layouts: list[Layout]) -> Iterator[Row]:
    """The rows of one file; what its networks were filled by is added to `layouts`."""
    try:
        golden = Golden.read(path)
        compute = resolve(claim.compute, f"the golden '{claim.stem}' of {claim.dist}")
        computed: Mapping[str, Any] = compute(golden)
    except Exception as error:  # a plugin's may raise anything; the other files are compared all the same
        said = str(error).strip().splitlines() or [""]
        yield Row(path.name, "*", "failed", note=f"{type(error).__name__}: {said[0]}")
        return
    layouts += golden.layouts
    for name, stored in golden.arrays.items():
        yield row(path.name, name, stored, computed.get(name), claim)
    for name in computed:
        if name not in golden.arrays:
            yield Row(path.name, name, "failed", note=f"{claim.dist} computes it, but the file does not store it")


def row(file: str, name: str, stored: NDArray[Any], computed: Any, claim: Claim) -> Row:
    """One array judged. Whole numbers must be equal, the rest within the claim's tolerance."""
    if any(fnmatchcase(name, pattern) for pattern in claim.skip):
        return Row(file, name, "skipped")
    if computed is None:
        if given(name, stored):
            return Row(file, name, "given")
        return Row(file, name, "missing", note=f"{claim.dist} neither computes nor skips it")
    limit = tolerance(name, claim) if stored.dtype.kind == "f" else 0.0
    try:
        error = deviation(np.asarray(computed), stored)
    except InputError as problem:
        return Row(file, name, "failed", tolerance=limit, note=str(problem))
    return Row(file, name, "ok" if error <= limit else "off", error, limit)


def given(name: str, stored: NDArray[Any]) -> bool:
    """Whether an array only says how the golden was made."""
    number = stored.dtype.kind == "f" or stored.ndim > 0
    return any(fnmatchcase(name, pattern) for pattern in GIVEN) or not number or stored.dtype.kind not in "biuf"


def tolerance(name: str, claim: Claim) -> float:
    """The claim's largest relative error for an array.

    Raises:
        ConfigError: it names patterns, and none fits.
    """
    if isinstance(claim.tolerance, float | int):
        return float(claim.tolerance)
    for pattern, limit in claim.tolerance.items():
        if fnmatchcase(name, pattern):
            return limit
    raise ConfigError(f"{claim.dist} states no tolerance for '{name}' of the golden '{claim.stem}'")
