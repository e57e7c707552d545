"""`python -m benchmarks licences`: fills the tables of docs/licences.md from the catalogue of all installed plugins."""

from __future__ import annotations

from pathlib import Path

from odekit.chains.requirements import usage_with_defaults
from odekit.core.files import write_atomic
from odekit.parts.installed import catalog
from odekit.plugins.catalog import Catalog, Entry

PAGE = Path(__file__).parents[1] / "docs" / "licences.md"
BEGIN, END = "<!-- {name} -->", "<!-- end of {name} -->"


def command() -> None:
    """Fill the tables of docs/licences.md from the catalogue of all installed plugins.

    Example: python -m benchmarks licences
    """
    write_atomic(fill(PAGE.read_text(encoding="utf-8"), catalog()).encode(), PAGE)


def is_own(entry: Entry, parts: Catalog) -> bool:
    """Whether a part is odekit's own, MIT, and without weights of its own; the page describes these in one line."""
    terms = usage_with_defaults(entry, parts)
    return (
        entry.dist in ("odekit", "odekit-sdedit")
        and entry.licence == "MIT"
        and terms.commercial_use
        and not terms.weights
    )


def use_text(allowed: bool) -> str:
    """The cell on commercial use."""
    return "yes" if allowed else "**no**"


def part_lines(parts: Catalog) -> list[str]:
    """The table of the parts that are not odekit's own."""
    lines = [
        "| part | comes with | licence of the implemented system | weights by default | commercial use |",
        "|---|---|---|---|---|",
    ]
    for entry in parts.all():
        if not is_own(entry, parts):
            terms = usage_with_defaults(entry, parts)
            names = ", ".join(f"`{name}`" for name in terms.weights.split(", ")) if terms.weights else ""
            allowed = use_text(terms.commercial_use)
            lines.append(f"| {entry.kind} `{entry.name}` | {entry.dist} | {entry.licence} | {names} | {allowed} |")
    return lines


def weights_lines(parts: Catalog) -> list[str]:
    """The table of named weights."""
    lines = ["| weights | file | licence | commercial use | SHA-256 known | notice |", "|---|---|---|---|---|---|"]
    for name, store in sorted(parts.weights.items()):
        file = "in the package" if store.path is not None else f"`{store.file}`"
        digest = "yes" if store.sha256 else "no"
        lines.append(
            f"| `{name}` | {file} | {store.licence} | {use_text(store.commercial_use)} | {digest} | {store.notice} |"
        )
    return lines


def fill(text: str, parts: Catalog) -> str:
    """The text of the page with the tables of the catalogue."""
    for name, lines in (("parts", part_lines(parts)), ("weights", weights_lines(parts))):
        head, _, rest = text.partition(BEGIN.format(name=name))
        _, _, tail = rest.partition(END.format(name=name))
        table = "\n".join(lines)
        text = f"{head}{BEGIN.format(name=name)}\n{table}\n{END.format(name=name)}{tail}"
    return text
