"""Output of commands: JSON, tables and lines of text. Nothing else in `odekit.cli` writes to the terminal.

Names of files come from anywhere, so control characters in them are shown as escapes (`odekit.core.text`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from odekit.core.text import visible, visible_json, visible_line


def print_json(data: Any) -> None:
    """Print JSON on stdout."""
    sys.stdout.write(visible_json(json.dumps(data, indent=1, ensure_ascii=False)) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; on a pipe it is 200 characters wide."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 200)
    heading = Text(visible_line(title)) if title else None
    table = Table(title=heading, title_justify="left", header_style="bold", show_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(Text(visible_line(column)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible_line(cell)) for cell in row))
    console.print(table)


def print_line(text: str = "") -> None:
    """Print one line on stdout."""
    sys.stdout.write(visible_line(text) + "\n")


def print_text(text: str) -> None:
    """Print lines that odekit composed on stdout; line feeds in them stay."""
    sys.stdout.write(visible(text) + "\n")


def print_message(text: str) -> None:
    """Print a line for the user on stderr."""
    print_stderr(f"odekit: {text}")


def print_stderr(text: str) -> None:
    """Print one line on stderr, without odekit's name before it."""
    sys.stderr.write(visible_line(text) + "\n")
