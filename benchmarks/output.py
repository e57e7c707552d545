"""How benchmarks print: tables for people, JSON for pages and machines."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Figure, Table, draw_plot, format_value
from odekit.cli.show import print_json, print_line, print_table
from odekit.errors import ConfigError


def print_result(table: Table, as_json: bool, plot: Path | None = None) -> None:
    """Print a table and its goals, or JSON that names the command; draw the plot where a file is given.

    Raises:
        ConfigError: the plot cannot be drawn.
    """
    if plot is not None:
        try:
            draw_plot(table, plot)
        except (ImportError, ValueError, OSError) as error:
            raise ConfigError(f"--plot {plot}: {error}") from error
    if as_json:
        arguments = [word for word in sys.argv[1:] if word != "--json"]
        print_json({"command": shlex.join(["python", "-m", "benchmarks", *arguments])} | table.tree())
        return
    cells = [[format_value(row[key]) for key in table.columns] for row in table.rows]
    print_table(table.how, list(table.columns.values()), cells)
    goals = [goal.tree() for goal in table.goals]
    if goals:
        rows = [(g["name"], g["value"], g["goal"], "yes" if g["reached"] else "NO") for g in goals]
        print_line()
        print_table("figures to reach", ("figure", "measured", "goal", "reached"), rows)


def print_figures(figures: Sequence[Figure], as_json: bool) -> None:
    """Print figures as a table, or as JSON."""
    if as_json:
        print_json([figure.tree() for figure in figures])
        return
    rows = [
        (f.name, f"{f.value:.3g} {f.unit}", f"<= {f.goal:g} {f.unit}", "yes" if f.reached else "NO", f.note)
        for f in figures
    ]
    print_table("", ("figure", "measured", "goal", "reached", "how"), rows)


def print_progress(text: str) -> None:
    """Print a line of progress on stderr."""
    sys.stderr.write(f"{text}\n")
