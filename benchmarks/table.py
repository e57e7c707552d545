"""A measured table: rows, the figures that were to be reached, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
LINES = ("solver", "grid", "method", "precision")
"""What tells the lines of a plot apart."""


@dataclass(frozen=True)
class Goal:
    """One figure to reach: `value` is at least `least`, or at most where `most` is given."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool:
        """The value keeps its bounds."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def bound(self) -> str:
        """The bound in words."""
        sign, bound = (">=", self.least) if self.least is not None else ("<=", self.most)
        return f"{sign} {bound:g} {self.unit}".strip()

    def tree(self) -> Row:
        """Plain data."""
        said = shown(self.value)
        return {"name": self.name, "value": f"{said} {self.unit}".strip(), "goal": self.bound, "reached": self.reached}


@dataclass(frozen=True)
class Table:
    """What a bench gives."""

    name: str
    how: str
    """Prior, pictures, precision: one line."""
    columns: Mapping[str, str]
    """Key of a row -> heading."""
    rows: Sequence[Row]
    goals: Sequence[Goal] = field(default_factory=tuple)
    axes: tuple[str, tuple[str, ...]] = ("calls", ("psnr",))
    """For plots: the key along x, the keys along y; one line for each solver and grid."""

    def tree(self) -> Row:
        """Plain data; numbers are rounded, those that are not finite become text."""
        rows = [{key: plain(row[key]) for key in self.columns} for row in self.rows]
        goals = [goal.tree() for goal in self.goals]
        return {"name": self.name, "how": self.how, "columns": dict(self.columns), "rows": rows, "goals": goals}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: what is not known is null, infinities are text."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def shown(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, float):
        return f"{value:.1f}" if 10 <= abs(value) < math.inf else f"{value:.3g}"
    return "" if value is None else str(value)


def plot(table: Table, path: Any) -> None:
    """One panel for each y: a line for each solver and grid, or method and precision. The ending says the format."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    x, ys = table.axes
    figure, panels = pyplot.subplots(1, len(ys), figsize=(6 * len(ys), 4), squeeze=False)
    lines: dict[str, list[Row]] = {}
    for row in table.rows:
        lines.setdefault(" ".join(str(row[key]) for key in LINES if key in row), []).append(row)
    for y, panel in zip(ys, panels[0], strict=True):
        for name, rows in lines.items():
            numbers = [(row[x], row[y]) for row in rows]
            finite = [(a, b) for a, b in numbers if isinstance(a, str) or (math.isfinite(a) and math.isfinite(b))]
            panel.plot([a for a, _ in finite], [b for _, b in finite], marker="o", label=name)
        panel.set_xlabel(table.columns[x])
        panel.set_ylabel(table.columns[y])
        if x == "batch":
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
        panel.tick_params(axis="x", rotation=45 if x == "solver" else 0)
    panels[0][0].legend(fontsize="x-small")
    figure.suptitle(table.how, fontsize="small")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
