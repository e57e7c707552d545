"""The page about a run of files: what was done with which settings, each picture before and after, what failed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from odekit.core.files import read_json
from odekit.errors import InputError, OdekitError
from odekit.images.io import read
from odekit.runs.report import embed
from odekit.runs.report.page import Cell, Figure, Page, Pair, Table

SHOWN = 100
"""Pictures on the page at most."""


def run_page(out: Path) -> Page:
    """The page of an output folder, from its records.

    Raises:
        InputError: no run has written there.
    """
    about = read_json(out / "run.json")
    records = restored(out)
    if not isinstance(about, dict) and not records:
        raise InputError(f"{out}: no run has written here; name the folder given to -o")
    about = about if isinstance(about, dict) else {}
    failures = [row for path in sorted(out.glob("failures*.json")) for row in read_json(path) or []]
    pairs = [pair for name, record in records[:SHOWN] if (pair := _pair(out, name, record)) is not None]
    linked = {pair.name: pair.anchor for pair in pairs}
    shown = "" if len(records) <= SHOWN else f"The first {SHOWN} of {len(records)} pictures are shown."
    chain = about.get("chain", {}).get("name") or "a chain"
    return Page(
        title=f"Restored with {chain}",
        lead=f"{len(records)} pictures restored, {len(failures)} failed.",
        facts=_facts(about),
        problems=[str(row.get("error", "")) for row in failures],
        figures=_figures(records),
        pairs=pairs,
        pairs_note=shown,
        details=[_table(records, linked)],
    )


def restored(out: Path) -> list[tuple[str, dict[str, Any]]]:
    """Name and record of every result in a folder, by name; event logs miss what a kill cut."""
    found = {}
    for path in out.rglob("*.json"):
        record = read_json(path)
        if isinstance(record, dict) and isinstance(made := record.get("output"), dict):
            result = path.with_name(Path(str(made.get("path"))).name)
            if result.is_file():
                found[str(result.relative_to(out))] = record
    return sorted(found.items())


def _facts(about: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [(key, str(about[key])) for key in ("seed", "device", "precision", "slots", "threads") if key in about]
    versions = ", ".join(f"{name} {number}" for name, number in about.get("versions", {}).items())
    chain = json.dumps(about.get("chain", {}).get("chain", []), ensure_ascii=False)
    return [*facts, ("versions", versions), ("chain", chain)]


def _pair(out: Path, name: str, record: dict[str, Any]) -> Pair | None:
    """None where a picture is gone or cannot be read any more."""
    try:
        before, after = embed.pair(read(Path(record["input"]["path"])), read(out / name))
        caption = f"{record['calls']} network calls, {record['seconds']:.2f} s"
    except (OdekitError, KeyError, TypeError, ValueError):
        return None
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return Pair(name, before, after, caption, anchor=f"picture-{name}", record=text)


def _figures(records: list[tuple[str, dict[str, Any]]]) -> list[Figure]:
    seconds = [float(record.get("seconds", 0)) for _, record in records]
    if len(set(seconds)) < 2:
        return []
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6, 2.6))
    axes = canvas.subplots()
    axes.hist(seconds, bins=min(30, len(seconds)), color="#1a5fb4")
    axes.set(xlabel="seconds a picture", ylabel="pictures")
    return [Figure("Time spent on each picture", embed.plot(canvas))]


def _table(records: list[tuple[str, dict[str, Any]]], linked: dict[str, str]) -> Table:
    rows = []
    for name, record in records:
        stages = record.get("stages", [])
        size = record.get("output", {}).get("bytes", 0)
        rows.append(
            (
                Cell(name, name, linked.get(name, "")),
                Cell(str(record.get("calls", "")), float(record.get("calls", 0))),
                Cell(f"{record.get('seconds', 0):.2f}", float(record.get("seconds", 0))),
                Cell(", ".join(str(stage.get("stage", "")) for stage in stages)),
                Cell(f"{size / 1000:.1f}", float(size)),
                Cell(str(record.get("output", {}).get("sha256", ""))[:12]),
            )
        )
    columns = ("picture", "network calls", "seconds", "stages", "kB", "SHA-256")
    return Table("Every picture", columns, rows)
