"""Writes the report of a run as HTML: `OUT/report.html`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odekit.core.files import write_atomic
from odekit.core.text import visible_line
from odekit.errors import OdekitError
from odekit.runs.report.page import visible_value
from odekit.runs.report.run_page import RunPage, run_page
from odekit.runs.report.sources import Sources

TEMPLATES = Path(__file__).parent / "viewer"


def write_run_report(out: Path, inputs: Sequence[str | Path], max_megapixels: float = 100.0) -> Path:
    """Write the report of an output folder; returns its path.

    Args:
        out: the folder.
        inputs: files, folders and globs of the run, as on the command line; no other input is shown.
        max_megapixels: larger pictures are not shown.

    Raises:
        InputError: no run has written to the folder.
        OdekitError: the page cannot be written.
    """
    path = out / "report.html"
    try:
        with Sources(out, inputs, max_megapixels) as sources:
            page = run_page(out, sources)
        write_atomic(render_run_page(page).encode(errors="backslashreplace"), path)
    except OSError as error:
        raise OdekitError(f"{path}: cannot be written ({error.strerror or error}); check the disk") from error
    return path


def render_run_page(page: RunPage) -> str:
    """The report as HTML text. All content is escaped, control and bidirectional characters included."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        finalize=visible_value,
    )  # fmt: skip
    environment.filters["line"] = visible_line
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("run.css", "run.js"))
    return environment.get_template("run.html").render(
        page=page, style=Markup(style), script=Markup(script), policy=content_policy(style, script, page.in_folder)
    )


def content_policy(style: str, script: str, in_folder: bool) -> Any:
    """The Content-Security-Policy: this style and this script, and pictures in the page (or in local files) only."""
    from markupsafe import Markup

    pictures = "data: 'self' file:" if in_folder else "data:"
    rules = [
        "default-src 'none'", f"img-src {pictures}", f"style-src {_hash(style)}", f"script-src {_hash(script)}",
        "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    return Markup("; ".join(rules))


def _hash(text: str) -> str:
    """The CSP source of an inline element with exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
