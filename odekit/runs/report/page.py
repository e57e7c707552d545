"""One self-contained HTML page: tables that sort, plots, a contact sheet, before and after under a slider.

It needs nothing from the network and says so to the browser (Content-Security-Policy).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the number or text that it is sorted by."""

    text: str
    key: float | str = ""
    link: str = ""
    """Anchor on this page."""

    @property
    def sort(self) -> str:
        """The key as the page's script reads it; what is no number comes last among numbers."""
        if isinstance(self.key, float | int):
            return repr(float(self.key)) if math.isfinite(self.key) else ("Infinity" if self.key > 0 else "")
        return self.key or self.text


@dataclass(frozen=True)
class Table:
    """Rows under names; sortable by a click or by the keyboard."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Pair:
    """Before and after on top of each other, the border between them under a slider."""

    name: str
    before: str
    after: str
    """Data URIs of pictures of one shape."""
    caption: str = ""
    reference: str = ""
    """Data URI of the truth, shown beside them."""
    anchor: str = ""
    record: str = ""
    """JSON text, folded away."""


@dataclass(frozen=True)
class Figure:
    """A plot or a sheet."""

    title: str
    uri: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """The whole page, in the order in which it is shown."""

    title: str
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    problems: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    pairs: Sequence[Pair] = ()
    pairs_note: str = ""
    details: Sequence[Table] = field(default_factory=tuple)
    """Long tables, below the pictures."""


def render(page: Page) -> str:
    """The page as HTML text. Everything in it is escaped."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(page=page)


def write(page: Page, path: Path) -> Path:
    """Write the page to a file; an existing one is replaced when the new one is whole."""
    from odekit.core.files import write_atomic

    write_atomic(render(page).encode(errors="backslashreplace"), path)
    return path
