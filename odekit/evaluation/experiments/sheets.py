"""Figures of an experiment: a contact sheet, and the plot of fidelity against realism."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from odekit.core.image import Image
from odekit.errors import ConfigError
from odekit.evaluation.pairing import Case
from odekit.evaluation.results import Method, Plot, Results
from odekit.images import io
from odekit.runs.report.sheet import contact_sheet as sheet

MAX_ROWS = 12
"""Largest number of rows of a contact sheet."""


def contact_sheet(path: Path, cases: Sequence[Case], methods: Sequence[Method]) -> Path:
    """Write rows of the clean image, the damaged one and every method's, evenly chosen; failures are grey tiles."""
    step = max(1, -(-len(cases) // MAX_ROWS))
    rows = []
    for case in cases[::step]:
        row = [("clean", io.read(case.reference))]
        for method in methods:
            path_of = case.pictures.get(method.name)
            label = f"{case.kind}" if method.kind == "damaged" else method.label
            row.append((label, io.read(path_of)) if path_of is not None else (f"{label}: failed", grey(row[0][1])))
        rows.append(row)
    return io.write(Image.from_uint8(np.asarray(sheet(rows))), path, format="png")


def grey(like: Image) -> Image:
    """A grey image of the same size."""
    return like.with_pixels(np.full_like(like.pixels, 0.5))


def points(results: Results, plot: Plot) -> dict[str, list[tuple[float, float, str]]]:
    """(x, y, label) of every method with both values, by line; a method without settings is a line of one point."""
    groups = {group.method: group for group in results.groups if not group.kind}
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for method in results.methods:
        values = groups[method.name].values
        x, y = values[plot.x].value, values[plot.y].value
        if math.isnan(x) or math.isnan(y) or math.isinf(x):
            continue
        settings = {key: value for key, value in method.settings.items() if key != plot.lines}
        label = ", ".join(str(value) for value in settings.values()) or method.label
        line = method.label if not method.settings else line_name(plot, method.settings)
        lines.setdefault(line, []).append((x, y, label))
    return lines


def line_name(plot: Plot, settings: Mapping[str, object]) -> str:
    """The legend of a method's line."""
    if not plot.lines:
        return plot.title or "sweep"
    return f"{plot.lines.rpartition('.')[2]} = {settings.get(plot.lines)}"


SHAPES = "so^Dv"
"""Markers of single points; the ten colours repeat."""


def draw(results: Results, plot: Plot, path: Path) -> Path:
    """Write the plot; the suffix of the path selects the format.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ConfigError("plots need matplotlib; pip install matplotlib") from error
    mpl.use("Agg")
    from matplotlib import pyplot

    facts = {metric.name: metric for metric in results.metrics}
    figure, panel = pyplot.subplots(figsize=(7, 5))
    for number, (name, line) in enumerate(points(results, plot).items()):
        xs, ys = [x for x, _, _ in line], [y for _, y, _ in line]
        single = len(line) == 1
        marker = SHAPES[number // 10 % len(SHAPES)] if single else "o"
        panel.plot(xs, ys, marker=marker, linestyle="none" if single else "-", label=name, color=f"C{number}")
        for x, y, label in line if not single else ():
            panel.annotate(label, (x, y), textcoords="offset points", xytext=(5, 4), fontsize=7)
    panel.set_xlabel(axis(facts[plot.x].label, facts[plot.x].unit, facts[plot.x].better, "fidelity"))
    panel.set_ylabel(axis(facts[plot.y].label, facts[plot.y].unit, facts[plot.y].better, "realism"))
    panel.set_title(f"{results.title}\n{results.how}", fontsize=8, wrap=True)
    panel.legend(fontsize="small")
    panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path


def axis(label: str, unit: str, better: str, quality: str) -> str:
    """The label of an axis: `PSNR, dB (fidelity; higher is better)`."""
    return f"{label}{f', {unit}' if unit else ''} ({quality}; {better} is better)"
