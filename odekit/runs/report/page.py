"""A self-contained HTML page: sortable tables, plots, a contact sheet, and before-and-after pictures with a slider.

The page loads nothing from the network; its Content-Security-Policy forbids it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.core.text import visible


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, and its sort key."""

    text: str
    key: float | str = ""
    """Number or text to sort by; empty: `text`."""
    link: str = ""
    """Anchor on this page that the cell links to."""

    @property
    def sort(self) -> str:
        """The key as text for the script of the page; NaN and minus infinity become empty and are sorted last."""
        if isinstance(self.key, float | int):
            return repr(float(self.key)) if math.isfinite(self.key) else ("Infinity" if self.key > 0 else "")
        return self.key or self.text


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by mouse or keyboard."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class BeforeAfter:
    """A picture before and after, one on top of the other, with a slider that moves the border between them."""

    name: str
    before: str
    after: str
    """Data URIs of two pictures of equal size."""
    caption: str = ""
    reference: str = ""
    """Data URI of the ground truth, shown beside the pair."""
    anchor: str = ""
    record: str = ""
    """JSON text, collapsed by default."""


@dataclass(frozen=True)
class Figure:
    """A plot or a contact sheet."""

    title: str
    uri: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """The content of a page, in order."""

    title: str
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    problems: Sequence[str] = ()
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    pairs: Sequence[BeforeAfter] = ()
    pairs_note: str = ""
    details: Sequence[Table] = field(default_factory=tuple)
    """Long tables, placed below the pictures."""


def render_page(page: Page) -> str:
    """The page as HTML text. All content is escaped, control and bidirectional characters included."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=visible_value
    )
    return environment.get_template("page.html").render(page=page)


def visible_value(value: Any) -> Any:
    """A value of a template; text from outside without unsafe characters."""
    from markupsafe import Markup

    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def write(page: Page, path: Path) -> Path:
    """Write the page to a file atomically; returns the path."""
    from odekit.core.files import write_atomic

    write_atomic(render_page(page).encode(errors="backslashreplace"), path)
    return path
