"""`odekit bench parity`: do the installed parts compute what the official programs compute?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from goldens.parity import Row


def parity(
    golden: Annotated[Path, typer.Option(help="Folder of golden files, such as codeformer.A.npz.")],
    only: Annotated[str, typer.Option(help="Only files whose names fit this pattern.")] = "*",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare installed parts with stored outputs of the official programs, one line per array.

    Exit code 3 where an array is beyond its tolerance, is neither computed nor skipped, or a file has no part.

    Example: odekit bench parity --golden goldens/ --only "codeformer*"
    """
    from goldens.parity import parity as compare
    from odekit.cli.show import print_json, say
    from odekit.parts.installed import catalog

    rows = []
    for row in compare(golden, catalog(), only):
        rows.append(row)
        if not as_json and row.verdict != "given":
            say(line(row))
            sys.stdout.flush()
    wrong = [row for row in rows if row.wrong]
    if as_json:
        print_json({"ok": not wrong, "arrays": [row.tree() for row in rows]})
    else:
        compared = sum(row.verdict in ("ok", "off") for row in rows)
        say(f"\n{compared} arrays compared, {len(wrong)} wrong")
        for dist, reason in catalog().broken.items():
            say(f"plugin {dist} failed: {reason}")
    raise typer.Exit(3 if wrong else 0)


def line(row: Row) -> str:
    """One array on one line."""
    place = f"{row.file:32} {row.array:32} {row.verdict.upper() if row.wrong else row.verdict:9}"
    figures = "" if row.error is None or row.tolerance is None else f" {row.error:.2e} (at most {row.tolerance:g})"
    return f"{place}{figures}{'  ' + row.note if row.note else ''}".rstrip()
