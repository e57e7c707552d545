"""Rows of images: written to a CSV one by one, and kept for the document up to a limit."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from odekit.core.files import replacing
from odekit.errors import ConfigError
from odekit.evaluation.measure import Measured
from odekit.evaluation.pairing import Case
from odekit.evaluation.results import ROWS, Row
from odekit.evaluation.tables import full_digits

NAME = "rows.csv"
Facts = Callable[[Case, str], "tuple[int | None, float | None]"]
"""Calls and seconds of a method's image; None where unknown."""


class Rows:
    """Collects rows; with a folder they are also written to `rows.csv`."""

    def __init__(
        self, folder: Path | None, metrics: Sequence[str], methods: Sequence[str], facts: Facts | None = None
    ) -> None:
        self.folder, self.metrics, self.methods, self.facts = folder, list(metrics), list(methods), facts
        self.kept: list[Row] = []
        self.count = 0
        self.file: Any = None
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Rows:
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                temporary = self.stack.enter_context(replacing(self.folder / NAME))
                self.file = self.stack.enter_context(temporary.open("w", encoding="utf-8", newline=""))
            except OSError as error:
                raise ConfigError(f"the output folder {self.folder} cannot be written: {error.strerror}") from error
            self.writer = csv.writer(self.file)
            self.writer.writerow(
                ["picture", "method", "kind", "severity", *self.metrics, "calls", "seconds", "problems", "error"]
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)

    def add(self, chunk: Iterable[Measured]) -> None:
        """Add measured cases."""
        for one in chunk:
            for method in self.methods:
                row = self._row(one, method)
                self.count += 1
                if self.file is not None:
                    self.writer.writerow(self._cells(row))
                if self.count <= ROWS:
                    self.kept.append(row)
                else:
                    self.kept.clear()

    def _row(self, one: Measured, method: str) -> Row:
        case = one.case
        calls, seconds = self.facts(case, method) if self.facts is not None else (None, None)
        roles = {"reference": case.reference, "damaged": case.pictures.get("damaged"), "restored": None}
        if method != "damaged":
            roles["restored"] = case.pictures.get(method)
        return Row(
            case.name, method, case.kind, case.severity, one.values.get(method, {}), one.problems.get(method, {}),
            one.errors.get(method, ""), calls, seconds,
            {role: self._place(path) for role, path in roles.items() if path is not None},
        )  # fmt: skip

    def _place(self, path: str) -> str:
        return Path(os.path.relpath(path, self.folder) if self.folder is not None else path).as_posix()

    def _cells(self, row: Row) -> list[str]:
        problems = "; ".join(f"{name}: {text}" for name, text in row.problems.items())
        values = [full_digits(row.values.get(name)) for name in self.metrics]
        severity = "" if row.severity is None else str(row.severity)
        calls = "" if row.calls is None else str(row.calls)
        return [
            row.picture,
            row.method,
            row.kind,
            severity,
            *values,
            calls,
            full_digits(row.seconds),
            problems,
            row.error,
        ]

    @property
    def document(self) -> tuple[Row, ...]:
        """The rows of the document: all, or none where there are too many."""
        return tuple(self.kept)
