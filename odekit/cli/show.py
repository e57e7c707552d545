"""Output of commands: JSON, tables and lines of text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(data: Any) -> None:
    """Print JSON on stdout."""
    print_line(json.dumps(data, indent=1, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; on a pipe it is 200 characters wide."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 200)
    table = Table(title=title, title_justify="left", header_style="bold", show_edge=False, show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def print_line(text: str) -> None:
    """Print a line on stdout; undecodable bytes of file names are escaped with backslashes."""
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")


def print_message(text: str) -> None:
    """Print a line for the user on stderr."""
    sys.stderr.write(f"odekit: {text.encode(errors='backslashreplace').decode()}\n")
