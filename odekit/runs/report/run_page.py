"""The report of a run: settings, failures, and every picture before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from odekit.core.files import read_json
from odekit.errors import InputError, OdekitError
from odekit.images.io import read
from odekit.runs.report import embed
from odekit.runs.report.page import BeforeAfter, Cell, Figure, Page, Table

MAX_PICTURES = 100
"""Maximum number of pictures on the page."""


def run_page(out: Path) -> Page:
    """The report of an output folder, from its records.

    Raises:
        InputError: no run has written to the folder.
    """
    run = read_json(out / "run.json")
    records = result_records(out)
    if not isinstance(run, dict) and not records:
        raise InputError(f"{out}: no run has written here; name the folder given to -o")
    run = run if isinstance(run, dict) else {}
    failures = [row for path in sorted(out.glob("failures*.json")) for row in read_json(path) or []]
    pairs = [pair for name, record in records[:MAX_PICTURES] if (pair := _pair(out, name, record)) is not None]
    anchors = {pair.name: pair.anchor for pair in pairs}
    note = "" if len(records) <= MAX_PICTURES else f"The first {MAX_PICTURES} of {len(records)} pictures are shown."
    chain = run.get("chain", {}).get("name") or "a chain"
    return Page(
        title=f"Restored with {chain}",
        lead=f"{len(records)} pictures restored, {len(failures)} failed.",
        facts=_settings(run),
        problems=[str(row.get("error", "")) for row in failures],
        figures=_figures(records),
        pairs=pairs,
        pairs_note=note,
        details=[_table(records, anchors)],
    )


def result_records(out: Path) -> list[tuple[str, dict[str, Any]]]:
    """Name and record of every result in a folder, sorted by name; event logs lack the last results of killed runs."""
    results = {}
    for path in out.rglob("*.json"):
        record = read_json(path)
        if isinstance(record, dict) and isinstance(output := record.get("output"), dict):
            result = path.with_name(Path(str(output.get("path"))).name)
            if result.is_file():
                results[str(result.relative_to(out))] = record
    return sorted(results.items())


def _settings(run: dict[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the settings in run.json."""
    names = {"seed": "seed", "device": "device", "precision": "precision", "slots": "batch size", "threads": "threads"}
    settings = [(name, str(run[key])) for key, name in names.items() if key in run]
    versions = ", ".join(f"{name} {number}" for name, number in run.get("versions", {}).items())
    chain = json.dumps(run.get("chain", {}).get("chain", []), ensure_ascii=False)
    return [*settings, ("versions", versions), ("chain", chain)]


def _pair(out: Path, name: str, record: dict[str, Any]) -> BeforeAfter | None:
    """Before and after of one result; None if a picture is missing or cannot be read."""
    try:
        before, after = embed.picture_pair_uris(read(Path(record["input"]["path"])), read(out / name))
        caption = f"{record['calls']} network calls, {record['seconds']:.2f} s"
    except (OdekitError, KeyError, TypeError, ValueError):
        return None
    text = json.dumps(record, indent=1, ensure_ascii=False)
    return BeforeAfter(name, before, after, caption, anchor=f"picture-{name}", record=text)


def _figures(records: list[tuple[str, dict[str, Any]]]) -> list[Figure]:
    seconds = [float(record.get("seconds", 0)) for _, record in records]
    if len(set(seconds)) < 2:
        return []
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(6, 2.6))
    axes = canvas.subplots()
    axes.hist(seconds, bins=min(30, len(seconds)), color="#1a5fb4")
    axes.set(xlabel="seconds per picture", ylabel="pictures")
    return [Figure("Time per picture", embed.plot_uri(canvas))]


def _table(records: list[tuple[str, dict[str, Any]]], anchors: dict[str, str]) -> Table:
    rows = []
    for name, record in records:
        stages = record.get("stages", [])
        size = record.get("output", {}).get("bytes", 0)
        rows.append(
            (
                Cell(name, name, anchors.get(name, "")),
                Cell(str(record.get("calls", "")), float(record.get("calls", 0))),
                Cell(f"{record.get('seconds', 0):.2f}", float(record.get("seconds", 0))),
                Cell(", ".join(str(stage.get("stage", "")) for stage in stages)),
                Cell(f"{size / 1000:.1f}", float(size)),
                Cell(str(record.get("output", {}).get("sha256", ""))[:12]),
            )
        )
    columns = ("picture", "network calls", "seconds", "stages", "kB", "SHA-256")
    return Table("All pictures", columns, rows)
