"""Results as a page of Markdown: what was done, the tables, what failed, and how to read it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from odekit.evaluation import tables
from odekit.evaluation.results import Results

WIDE = 10
"""Methods beyond which tables by damage are too wide to read, as those of sweeps; `rows.csv` has every picture."""


def page(results: Results) -> str:
    """The whole page."""
    parts = [f"# {results.title}", facts(results), tables.markdown(tables.headings(results), tables.table(results))]
    parts.append("\n".join(f"- {note}" for note in results.notes))
    for quote in results.quotes:
        parts += [f"## {quote.source}", quote.remark, tables.markdown(*tables.printed(quote.rows))]
    if results.differences:
        parts += ["## Differences, picture by picture", "Means over the pictures that both have; paired bootstrap."]
        parts.append(tables.markdown(*tables.differences(results)))
    parts += by_damage(results)
    parts += [f"![{name}]({path})" for name, path in results.figures.items()]
    parts += ["## What failed", "\n".join(f"- {line}" for line in results.problems) or "Nothing."]
    return "\n\n".join(parts) + "\n"


def publish(results: Results, folder: Path, path: Path) -> None:
    """Write the page somewhere else than the document, with copies of its pictures beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = {}
    for name, figure in results.figures.items():
        copy = path.with_name(f"{path.stem}-{Path(figure).name}")
        shutil.copyfile(folder / figure, copy)
        figures[name] = copy.name
    tables.write(path, page(replace(results, figures=figures)))


def facts(results: Results) -> str:
    """Command, data, machine and time."""
    machine = results.machine
    versions = machine.get("versions", {})
    shown = ", ".join(f"{name} {versions[name]}" for name in ("odekit", "torch", "numpy") if name in versions)
    where = [str(machine.get("processor", "")), f"{machine.get('cores', '?')} cores"]
    where += [f"{key} {machine[key]}" for key in ("device", "precision", "slots", "threads") if key in machine]
    spent = sum(machine.get("chain_seconds", {}).values())
    lines = [
        f"- command: `{results.command}`",
        f"- pictures: {results.how}",
        f"- machine: {', '.join(part for part in where if part)}; {shown}",
        f"- time: {spent:.0f} s inside the chains, {results.seconds:.0f} s measuring; {results.started}",
    ]
    return "\n".join(lines)


def by_damage(results: Results) -> list[str]:
    """A table for each metric, a line for each damage; nothing where there is only one, or more methods than `WIDE`."""
    parts: list[str] = []
    if len(results.methods) > WIDE:
        return parts
    for metric in results.metrics:
        head, lines = tables.by_damage(results, metric.name)
        if len(lines) > 1 and any(cell != "-" for line in lines for cell in line[3:]):
            parts += [f"## {metric.label} by damage", tables.markdown(head, lines)]
    return parts
