"""How commands print: JSON for machines, Rich for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any


def print_json(data: Any) -> None:
    """Plain JSON on stdout."""
    say(json.dumps(data, indent=1, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout; on a pipe it is as wide as it needs to be."""
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


def say(text: str) -> None:
    """One line on stdout; what is no Unicode in the name of a file is escaped, in JSON as JSON does it."""
    sys.stdout.write(text.encode(errors="backslashreplace").decode() + "\n")
