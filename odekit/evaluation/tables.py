"""Results as tables: Markdown, CSV, and cells for the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from odekit.evaluation.results import Difference, Group, Printed, Results, Value
from odekit.parts.metrics.base import MetricInfo

DIGITS = {"psnr": 2, "ssim": 3, "lpips": 3, "identity": 3, "swd": 1, "sharpness": 2, "kid": 4, "fd-pca": 3}
"""Decimals of a metric; two for all others."""


def heading(metric: MetricInfo) -> str:
    """Name, unit and the better direction: ^ higher, v lower."""
    best = "" if metric.best is None else f" -> {metric.best:g}"
    unit = f", {metric.unit}" if metric.unit else ""
    return metric.label + unit + {"higher": " ^", "lower": " v", "nearest": best}[metric.better]


def number(value: float, name: str) -> str:
    """A value of a metric with its decimals; "-" where there is none."""
    if math.isnan(value):
        return "-"
    return str(value) if math.isinf(value) else f"{value:.{DIGITS.get(name, 2)}f}"


def cell(value: Value, name: str) -> str:
    """A value with its interval or spread, and the number of values left out."""
    text = number(value.value, name)
    if not math.isnan(value.low):
        text += f" [{number(value.low, name)}, {number(value.high, name)}]"
    elif value.spread is not None and not math.isnan(value.value):
        text += f" +- {number(value.spread, name)}"
    left = [f"{count} {what}" for count, what in ((value.infinite, "inf"), (value.undefined, "n/a")) if count]
    return text + (f" ({', '.join(left)})" if left else "")


def headings(results: Results) -> list[str]:
    """The headings of the table of methods."""
    timed = any(method.calls is not None for method in results.methods)
    return ["method", "pictures", *map(heading, results.metrics), *(["calls", "seconds"] if timed else [])]


def table(results: Results, kind: str = "", severity: int | None = None) -> list[list[str]]:
    """A line for each method over the images of one damage, or over all images."""
    return [line(results, group) for group in results.groups if (group.kind, group.severity) == (kind, severity)]


def line(results: Results, group: Group) -> list[str]:
    """One line of the table of methods."""
    method = next(one for one in results.methods if one.name == group.method)
    count = str(group.pictures) if not group.failed else f"{group.pictures - group.failed} of {group.pictures}"
    cells = [cell(group.values[metric.name], metric.name) for metric in results.metrics]
    timed = any(one.calls is not None for one in results.methods)
    costs = [
        "" if method.calls is None else f"{method.calls:g}",
        "" if method.seconds is None else f"{method.seconds:.2f}",
    ]
    return [method.label, count, *cells, *(costs if timed else [])]


def by_damage(results: Results, metric: str) -> tuple[list[str], list[list[str]]]:
    """One metric: a line for each damage, a column for each method."""
    places = list(dict.fromkeys((group.kind, group.severity) for group in results.groups if group.kind))
    groups_of = {(group.method, group.kind, group.severity): group for group in results.groups}
    head = ["damage", "severity", "pictures", *(method.label for method in results.methods)]
    lines = []
    for kind, severity in places:
        groups = [groups_of[method.name, kind, severity] for method in results.methods]
        cells = [cell(group.values[metric], metric) for group in groups]
        lines.append([kind, "" if severity is None else str(severity), str(groups[0].pictures), *cells])
    return head, lines


def differences(results: Results) -> tuple[list[str], list[list[str]]]:
    """Paired differences: a line for each two methods, a column for each metric of pairs."""
    names = list(dict.fromkeys(one.metric for one in results.differences))
    labels = {method.name: method.label for method in results.methods}
    facts = {metric.name: metric for metric in results.metrics}
    by_pair = {(one.method, one.against, one.metric): one for one in results.differences}
    lines = []
    for method, against in dict.fromkeys((one.method, one.against) for one in results.differences):
        cells = [difference(by_pair[method, against, name]) for name in names]
        lines.append([f"{labels[method]} - {labels[against]}", *cells])
    return ["difference", *(facts[name].label for name in names)], lines


def difference(one: Difference) -> str:
    """A difference with its sign and interval."""
    name = one.metric
    return f"{signed(one.value, name)} [{signed(one.low, name)}, {signed(one.high, name)}]"


def signed(value: float, name: str) -> str:
    """A difference with its sign."""
    return "-" if math.isnan(value) else f"{value:+.{DIGITS.get(name, 2)}f}"


def printed(rows: Sequence[Printed]) -> tuple[list[str], list[list[str]]]:
    """The table of printed figures."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    return ["method", *(name.upper() for name in names)], [
        [row.method, *(f"{row.values[name]:g}" if name in row.values else "" for name in names)] for row in rows
    ]


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def summary_csv(results: Results) -> str:
    """All groups: a line for each method and damage, with value, interval and counts of every metric."""
    text = io.StringIO()
    writer = csv.writer(text)
    columns = [
        f"{metric.name}{end}" for metric in results.metrics for end in ("", "_low", "_high", "_spread", "_count")
    ]
    writer.writerow(["method", "kind", "severity", "pictures", "failed", *columns, "calls", "seconds"])
    methods = {method.name: method for method in results.methods}
    for group in results.groups:
        cells: list[object] = []
        for metric in results.metrics:
            value = group.values[metric.name]
            cells += [
                full_digits(value.value),
                full_digits(value.low),
                full_digits(value.high),
                full_digits(value.spread),
                value.count,
            ]
        method, severity = methods[group.method], "" if group.severity is None else group.severity
        costs = [full_digits(method.calls), full_digits(method.seconds)] if not group.kind else ["", ""]
        writer.writerow([group.method, group.kind, severity, group.pictures, group.failed, *cells, *costs])
    return text.getvalue()


def full_digits(value: float | None) -> str:
    """A number with all digits; empty for None and NaN."""
    return "" if value is None or math.isnan(value) else repr(float(value))
