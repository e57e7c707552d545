"""What a benchmark returns: a table of rows with goals, or single figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
LINES = ("solver", "grid", "method", "precision")
"""Columns whose values name the lines of a plot."""


@dataclass(frozen=True)
class Goal:
    """One figure to reach: `value` must be at least `least`, or at most `most`."""

    name: str
    value: float
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool:
        """Whether the value is within its bounds."""
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)

    @property
    def bound(self) -> str:
        """The bound in words."""
        sign, bound = (">=", self.least) if self.least is not None else ("<=", self.most)
        return f"{sign} {bound:g} {self.unit}".strip()

    def tree(self) -> Row:
        """Plain data."""
        value = f"{format_value(self.value)} {self.unit}".strip()
        return {"name": self.name, "value": value, "goal": self.bound, "reached": self.reached}


@dataclass(frozen=True)
class Figure:
    """One measured figure that should be at most `goal`."""

    name: str
    value: float
    unit: str
    goal: float
    runs: int
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the value is at most the goal."""
        return self.value <= self.goal

    def tree(self) -> Row:
        """Plain data."""
        return {
            "name": self.name,
            "value": round(self.value, 4),
            "unit": self.unit,
            "goal": self.goal,
            "reached": self.reached,
            "runs": self.runs,
            "note": self.note,
        }


@dataclass(frozen=True)
class Table:
    """The result of a benchmark."""

    name: str
    how: str
    """Prior, images, precision and machine in one line."""
    columns: Mapping[str, str]
    """Key of a row -> heading."""
    rows: Sequence[Row]
    goals: Sequence[Goal] = field(default_factory=tuple)
    axes: tuple[str, tuple[str, ...]] = ("calls", ("psnr",))
    """For plots: the column on the x axis, and the columns on the y axes of the panels."""

    def tree(self) -> Row:
        """Plain data with rounded numbers; NaN is null, infinities are text."""
        rows = [{key: json_value(row[key]) for key in self.columns} for row in self.rows]
        goals = [goal.tree() for goal in self.goals]
        return {"name": self.name, "how": self.how, "columns": dict(self.columns), "rows": rows, "goals": goals}


def json_value(value: Any) -> Any:
    """A value for JSON: four digits, NaN as null, infinities as text."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return float(f"{value:.4g}") if math.isfinite(value) else str(value)


def format_value(value: Any) -> str:
    """A value for a person to read; nothing for NaN and None."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, float):
        return f"{value:.1f}" if 10 <= abs(value) < math.inf else f"{value:.3g}"
    return "" if value is None else str(value)


def draw_plot(table: Table, path: Any) -> None:
    """Draw one panel for each y axis, with a line for each solver and grid, or method and precision.

    The suffix of the path selects the file format.
    """
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
