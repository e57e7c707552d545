"""The HTML report of a comparison: tables with intervals, plots, and the images before and after restoration."""

from __future__ import annotations

import json
import math
from pathlib import Path

from odekit.errors import OdekitError
from odekit.evaluation.results import Group, Plot, Results, Row, Value
from odekit.images.io import read
from odekit.parts.metrics.base import MetricInfo
from odekit.runs.report import embed
from odekit.runs.report.page import BeforeAfter, Cell, Figure, Page, Table, write

MAX_PAIRS = 120
"""Largest number of images on the page, spread evenly over methods and damages."""


def report_page(results: Results, folder: Path) -> Page:
    """The page of a results document; paths of images are relative to `folder`."""
    rows = _evenly_spaced([row for row in results.rows if row.pictures.get("restored")], MAX_PAIRS)
    labels = {method.name: method.label for method in results.methods}
    pairs = [pair for row in rows if (pair := _pair(row, folder, labels, results.metrics)) is not None]
    linked = {pair.anchor for pair in pairs}
    note = "" if len(pairs) == len(results.rows) else f"{len(pairs)} of {len(results.rows)} pictures are shown."
    return Page(
        title=results.title,
        lead=results.how,
        facts=_facts(results),
        problems=[*results.problems, *(f"{row.picture}: {row.error}" for row in results.rows if row.error)],
        tables=[_groups(results, overall=True), *_differences(results), *_quotes(results)],
        figures=[_plot(results, plot, labels) for plot in results.plots],
        pairs=pairs,
        pairs_note=note,
        details=[_groups(results, overall=False), _rows(results, labels, linked)],
    )


def write_report(results: Results, folder: Path) -> Path:
    """Write `report.html` into the folder of a results document."""
    return write(report_page(results, folder), folder / "report.html")


def _facts(results: Results) -> list[tuple[str, str]]:
    machine = ", ".join(f"{key} {value}" for key, value in results.machine.items())
    facts = [("command", results.command), ("seed", str(results.seed)), ("started", results.started)]
    facts += [("took", f"{results.seconds:.0f} s"), ("machine", machine)]
    facts += [("note", note) for note in results.notes]
    facts += [(metric.label, metric.meaning) for metric in results.metrics if metric.meaning]
    return [(name, value) for name, value in facts if value]


def _groups(results: Results, overall: bool) -> Table:
    """A row for each method (and damage): means with 95 % intervals, calls and seconds."""
    methods = {method.name: method for method in results.methods}
    groups = [group for group in results.groups if bool(group.kind) != overall]
    columns = ["method", *([] if overall else ["damage"]), *(_heading(metric) for metric in results.metrics)]
    rows = []
    for group in groups:
        method = methods[group.method]
        damage = [] if overall else [Cell(_damage(group))]
        cells = [_value(group.values.get(metric.name)) for metric in results.metrics]
        calls, seconds = method.calls, method.seconds
        cost = [
            Cell("" if calls is None else f"{calls:g}", math.nan if calls is None else calls),
            Cell("" if seconds is None else f"{seconds:.2f}", math.nan if seconds is None else seconds),
        ]
        counts = [Cell(str(group.pictures), float(group.pictures)), Cell(str(group.failed), float(group.failed))]
        rows.append([Cell(method.label), *damage, *cells, *cost, *counts])
    title = "Over all pictures" if overall else "By damage"
    note = "Means with 95 % bootstrap intervals over the images; failed images are counted, but left out of the means."
    return Table(title, [*columns, "calls", "seconds", "pictures", "failed"], rows, note)


def _differences(results: Results) -> list[Table]:
    metrics = {metric.name: metric for metric in results.metrics}
    labels = {method.name: method.label for method in results.methods}
    rows = [
        [
            Cell(f"{labels.get(d.method, d.method)} - {labels.get(d.against, d.against)}"),
            Cell(metrics[d.metric].label if d.metric in metrics else d.metric),
            Cell(_interval(d.value, d.low, d.high), d.value),
            Cell("yes" if d.low > 0 or d.high < 0 else "no"),
            Cell(str(d.count), float(d.count)),
        ]
        for d in results.differences
    ]
    columns = ("difference", "metric", "mean [95 %]", "excludes 0", "pictures")
    return [Table("Paired differences", columns, rows, "Paired bootstrap over the images.")] if rows else []


def _quotes(results: Results) -> list[Table]:
    tables = []
    for quote in results.quotes:
        names = list(dict.fromkeys(name for row in quote.rows for name in row.values))
        rows = [
            [Cell(row.method), *(Cell(f"{row.values[n]:g}" if n in row.values else "") for n in names)]
            for row in quote.rows
        ]
        tables.append(Table(f"Published figures: {quote.source}", ("method", *names), rows, quote.remark))
    return tables


def _rows(results: Results, labels: dict[str, str], linked: set[str]) -> Table:
    pairs = [metric for metric in results.metrics if metric.of == "pair"]
    rows = []
    for row in results.rows:
        anchor = _anchor(row)
        values = [Cell(_short(v), v) for v in (row.values.get(m.name, math.nan) for m in pairs)]
        first = [Cell(row.picture, link=anchor if anchor in linked else ""), Cell(labels.get(row.method, row.method))]
        rows.append([*first, Cell(_damage(row)), *values, Cell(row.error or "; ".join(row.problems.values()))])
    columns = ("picture", "method", "damage", *(_heading(metric) for metric in pairs), "problem")
    return Table("Every picture", columns, rows)


def _pair(row: Row, folder: Path, labels: dict[str, str], metrics: tuple[MetricInfo, ...]) -> BeforeAfter | None:
    """Damaged and restored image with a slider, and the original; None where an image cannot be read."""
    paths = {role: folder / name for role, name in row.pictures.items()}
    try:
        after = read(paths["restored"])
        before_data, after_data = embed.picture_pair_uris(read(paths.get("damaged", paths["restored"])), after)
        reference = embed.picture_uri(read(paths["reference"])) if "reference" in paths else ""
    except (OdekitError, KeyError):
        return None
    figures = [f"{m.label} {_short(row.values[m.name])}" for m in metrics if m.name in row.values][:2]
    caption = ", ".join([_damage(row), *figures]) if row.kind else ", ".join(figures)
    name = f"{row.picture}, {labels.get(row.method, row.method)}"
    record = json.dumps({"values": dict(row.values), "calls": row.calls, "seconds": row.seconds}, indent=1)
    return BeforeAfter(name, before_data, after_data, caption, reference, _anchor(row), record)


def _plot(results: Results, plot: Plot, labels: dict[str, str]) -> Figure:
    """One point for each method, with 95 % intervals as bars and lines through equal settings."""
    from matplotlib.figure import Figure as Canvas

    axes_of = {metric.name: metric for metric in results.metrics}
    canvas = Canvas(figsize=(6.4, 4.2))
    axes = canvas.subplots()
    lines: dict[str, list[tuple[float, float]]] = {}
    for group in (g for g in results.groups if not g.kind):
        x, y = group.values.get(plot.x), group.values.get(plot.y)
        if x is None or y is None or not (math.isfinite(x.value) and math.isfinite(y.value)):
            continue
        axes.errorbar(x.value, y.value, xerr=_bar(x), yerr=_bar(y), fmt="o", capsize=2)
        axes.annotate(labels.get(group.method, group.method), (x.value, y.value), (5, 4), textcoords="offset points")
        settings = next((m.settings for m in results.methods if m.name == group.method), {})
        if plot.lines in settings:
            lines.setdefault(str(settings[plot.lines]), []).append((x.value, y.value))
    for name, points in lines.items():
        axes.plot(*zip(*points, strict=True), linewidth=1, label=f"{plot.lines} = {name}")
    if len(lines) > 1:
        axes.legend()
    axes.set(xlabel=_heading(axes_of[plot.x]), ylabel=_heading(axes_of[plot.y]))
    return Figure(plot.title or f"{axes_of[plot.y].label} against {axes_of[plot.x].label}", embed.plot_uri(canvas))


def _bar(value: Value) -> list[list[float]] | None:
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return None
    return [[max(0.0, value.value - value.low)], [max(0.0, value.high - value.value)]]


def _evenly_spaced(rows: list[Row], count: int) -> list[Row]:
    """At most `count` rows, spread evenly over the list."""
    if len(rows) <= count:
        return rows
    return [rows[i * len(rows) // count] for i in range(count)]


def _anchor(row: Row) -> str:
    return f"picture-{row.method}-{row.picture}"


def _damage(row: Row | Group) -> str:
    return f"{row.kind} {row.severity}" if row.kind and row.severity is not None else row.kind


def _heading(metric: MetricInfo) -> str:
    unit = f", {metric.unit}" if metric.unit else ""
    arrow = {"higher": " (higher is better)", "lower": " (lower is better)"}.get(metric.better, "")
    return f"{metric.label}{unit}{arrow}"


def _value(value: Value | None) -> Cell:
    if value is None:
        return Cell("", math.nan)
    left = f" ({value.infinite} infinite)" if value.infinite else ""
    left += f" ({value.undefined} undefined)" if value.undefined else ""
    return Cell(_interval(value.value, value.low, value.high) + left, value.value)


def _interval(value: float, low: float, high: float) -> str:
    both = math.isfinite(low) and math.isfinite(high)
    return f"{_short(value)} [{_short(low)}, {_short(high)}]" if both else _short(value)


def _short(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.4g}" if math.isfinite(value) else "infinite"
