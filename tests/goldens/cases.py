"""Golden cases: which part repeats which golden file, with which tolerance, and the pytest parameters made of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from goldens import DATA
from odekit.testing.goldens import Golden, check_golden, golden_files, golden_folder

REPOSITORY = DATA / "golden"
FOLDER = golden_folder(REPOSITORY)
PLUGINS = DATA.parent.parent / "plugins"

FILL_CHECK = "fill_check*.json"
NOT_YET: dict[str, str] = {}
"""Stems of golden files that no part repeats yet, with the reason. Remove an entry when its part arrives."""


@dataclass(frozen=True)
class Case:
    """How one part repeats the golden files of one stem; see `odekit.testing.goldens.check_golden`."""

    stem: str
    compute: Callable[[Golden], Mapping[str, Any]]
    tolerance: float | Mapping[str, float] = 1e-4
    skip: Sequence[str] = ()
    repository_tolerance: float | None = None
    """Tighter tolerance for the repository's own files; None: `tolerance` applies to them too."""
    long: Sequence[str] = ()
    """Patterns of file names whose tests are marked `long`."""
    own: Path | None = None
    """Folder of the plugin's own golden file, used where `ODEKIT_GOLDENS` has none of this stem."""

    def files(self) -> list[Path]:
        """The files to compare with; a path that does not exist where there is none."""
        found = golden_files(FOLDER, self.stem)
        return golden_files(self.own, self.stem) if self.own and not found[0].exists() else found

    def check(self, path: Path) -> dict[str, float]:
        """The error of each compared array. Raises AssertionError as `check_golden` does."""
        tight = self.repository_tolerance is not None and path.parent.resolve() == REPOSITORY.resolve()
        tolerance = self.repository_tolerance if tight else self.tolerance
        return check_golden(Golden.read(path), self.compute, tolerance, self.skip)


def golden_params(cases: Sequence[Case]) -> list[Any]:
    """One pytest parameter (case, path) for each golden file, named after the file and marked `golden`."""
    return [
        pytest.param(case, path, id=path.name, marks=marks(any(fnmatchcase(path.name, p) for p in case.long)))
        for case in cases
        for path in case.files()
    ]


def marks(long: bool) -> list[pytest.MarkDecorator]:
    """The markers of a golden test."""
    return [pytest.mark.golden, pytest.mark.long] if long else [pytest.mark.golden]


def plugin_cases() -> list[Case]:
    """The cases of all plugins in this repository: `GOLDENS` in their `tests/parity.py`."""
    modules = [f"plugins.{path.parent.parent.name}.tests.parity" for path in sorted(PLUGINS.glob("*/tests/parity.py"))]
    return [case for name in modules for case in importlib.import_module(name).GOLDENS]


def not_yet(stem: str) -> bool:
    """Whether golden files of this stem belong to a part that is not in odekit yet."""
    return any(fnmatchcase(stem, pattern) for pattern in NOT_YET)
