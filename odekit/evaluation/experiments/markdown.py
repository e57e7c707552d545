"""Results as Markdown: a whole page, or the block between the markers of a page with hand-written text."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from odekit.core.files import write_atomic
from odekit.evaluation import tables
from odekit.evaluation.results import Results
from odekit.images.io import read, write

MAX_METHODS = 10
"""Largest number of methods with tables by damage; more columns are hard to read; `rows.csv` has every image."""
BLOCK = "results"
"""The name of the markers in a page of one experiment."""
LARGE_FIGURE = 2_000_000
"""Bytes of a figure that is copied as it is."""
JPEG_QUALITY = 80
"""Of a larger one."""


def page(results: Results) -> str:
    """The results as a whole page."""
    return f"# {results.title}\n\n{body(results)}\n"


def body(results: Results) -> str:
    """The results without the title of the page."""
    parts = [facts(results), tables.markdown(tables.headings(results), tables.table(results))]
    parts.append("\n".join(f"- {note}" for note in results.notes))
    for quote in results.quotes:
        parts += [f"## {quote.source}", quote.remark, tables.markdown(*tables.printed(quote.rows))]
    if results.differences:
        parts += ["## Paired differences", "Means over the images that both methods have; paired bootstrap."]
        parts.append(tables.markdown(*tables.differences(results)))
    parts += by_damage(results)
    parts += [f"![{name}]({path})" for name, path in results.figures.items()]
    parts += ["## Failures", "\n".join(f"- {line}" for line in results.problems) or "None."]
    return "\n\n".join(parts)


def publish(results: Results, folder: Path, path: Path) -> None:
    """Write the results into a page outside the document's folder, with copies of its figures beside the page.

    In a page with the markers `<!-- begin NAME -->` and `<!-- end NAME -->`, only the text between them is replaced;
    NAME is the experiment's, such as `photos`, or `results`. Any other file is overwritten with a whole page, which has
    the markers `results`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = {}
    for name, figure in results.figures.items():
        figures[name] = copy_figure(folder / figure, path.with_name(f"{path.stem}-{Path(figure).name}")).name
    content = body(replace(results, figures=figures))
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = replace_block(old, results.name, content) or replace_block(old, BLOCK, content)
    write_atomic((text or f"# {results.title}\n\n{block(BLOCK, content)}\n").encode(), path)


def copy_figure(figure: Path, copy: Path) -> Path:
    """Copy a figure beside a page; a large one becomes a JPEG, for the page's readers. Returns the file."""
    if figure.stat().st_size <= LARGE_FIGURE:
        return Path(shutil.copyfile(figure, copy))
    return write(read(figure), copy.with_suffix(".jpg"), quality=JPEG_QUALITY)


def block(name: str, content: str) -> str:
    """Content between markers."""
    return f"<!-- begin {name} -->\n{content}\n<!-- end {name} -->"


def replace_block(text: str, name: str, content: str) -> str | None:
    """Text with the content between the markers of this name replaced; None where it does not have both markers."""
    head, begin, rest = text.partition(f"<!-- begin {name} -->\n")
    _, end, tail = rest.partition(f"<!-- end {name} -->")
    return f"{head}{block(name, content)}{tail}" if begin and end else None


def facts(results: Results) -> str:
    """Command, data, machine and time."""
    machine = results.machine
    versions = machine.get("versions", {})
    packages = ", ".join(f"{name} {versions[name]}" for name in ("odekit", "torch", "numpy") if name in versions)
    words = [str(machine.get("processor", "")), f"{machine.get('cores', '?')} cores"]
    labels = {"device": "device", "precision": "precision", "slots": "batch size", "threads": "threads"}
    words += [f"{label} {machine[key]}" for key, label in labels.items() if key in machine]
    seconds = sum(machine.get("chain_seconds", {}).values())
    lines = [
        f"- command: `{results.command}`",
        f"- pictures: {results.how}",
        f"- machine: {', '.join(word for word in words if word)}; {packages}",
        f"- time: {seconds:.0f} s inside the chains, {results.seconds:.0f} s measuring; {results.started}",
    ]
    return "\n".join(lines)


def by_damage(results: Results) -> list[str]:
    """A table for each metric with a line for each damage.

    Empty where there is only one damage, or more than `MAX_METHODS` methods.
    """
    parts: list[str] = []
    if len(results.methods) > MAX_METHODS:
        return parts
    for metric in results.metrics:
        head, lines = tables.by_damage(results, metric.name)
        if len(lines) > 1 and any(cell != "-" for line in lines for cell in line[3:]):
            parts += [f"## {metric.label} by damage", tables.markdown(head, lines)]
    return parts
