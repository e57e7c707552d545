"""Figures of a run as CSV: one row per step, one per validation. A resumed run cuts what its checkpoint never saw."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


class Table:
    """A CSV file whose first column is the step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, str]]:
        """All whole rows; a last line cut off by a kill is left out."""
        if not self.path.is_file():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return [r for r in csv.DictReader(file) if None not in r.values() and None not in r]

    def cut(self, step: int) -> None:
        """Drop the rows after `step`."""
        if not self.path.is_file():
            return
        rows = [r for r in self.rows() if int(r["step"]) <= step]
        fresh = self.path.with_name(self.path.name + ".new")
        with fresh.open("w", newline="", encoding="utf-8") as file:
            if rows:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        fresh.replace(self.path)

    def add(self, row: Mapping[str, int | float]) -> None:
        """Append a row. Floats are written with all their digits."""
        new = not self.path.is_file() or self.path.stat().st_size == 0
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow({k: repr(v) for k, v in row.items()})
