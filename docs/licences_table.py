"""Writes the tables of docs/licences.md between their marks, from the catalogue of all installed plugins.

Usage: python docs/licences_table.py
"""

from __future__ import annotations

from pathlib import Path

from odekit.chains.requirements import default_terms
from odekit.parts.installed import catalog
from odekit.plugins.catalog import Catalog, Entry

PAGE = Path(__file__).parent / "licences.md"
BEGIN, END = "<!-- {name} -->", "<!-- end of {name} -->"


def plain(entry: Entry, found: Catalog) -> bool:
    """Whether a part is odekit's own, MIT, and needs no weights: the page says so in one line."""
    terms = default_terms(entry, found)
    return (
        entry.dist in ("odekit", "odekit-sdedit")
        and entry.licence == "MIT"
        and terms.commercial_use
        and not terms.weights
    )


def use(allowed: bool) -> str:
    """How commercial use is written."""
    return "yes" if allowed else "**no**"


def parts(found: Catalog) -> list[str]:
    """A line per part that is not plain."""
    lines = [
        "| part | comes with | licence of what it stands for | weights by default | commercial use |",
        "|---|---|---|---|---|",
    ]
    for entry in found.all():
        if not plain(entry, found):
            terms = default_terms(entry, found)
            names = ", ".join(f"`{name}`" for name in terms.weights.split(", ")) if terms.weights else ""
            allowed = use(terms.commercial_use)
            lines.append(f"| {entry.kind} `{entry.name}` | {entry.dist} | {entry.licence} | {names} | {allowed} |")
    return lines


def weights(found: Catalog) -> list[str]:
    """A line per named weights."""
    lines = ["| weights | file | licence | commercial use | SHA-256 known | notice |", "|---|---|---|---|---|---|"]
    for name, store in sorted(found.stores.items()):
        file = "in the package" if store.path is not None else f"`{store.file}`"
        known = "yes" if store.sha256 else "no"
        lines.append(
            f"| `{name}` | {file} | {store.licence} | {use(store.commercial_use)} | {known} | {store.notice} |"
        )
    return lines


def filled(text: str, found: Catalog) -> str:
    """The page with today's tables."""
    for name, lines in (("parts", parts(found)), ("weights", weights(found))):
        head, _, rest = text.partition(BEGIN.format(name=name))
        _, _, tail = rest.partition(END.format(name=name))
        table = "\n".join(lines)
        text = f"{head}{BEGIN.format(name=name)}\n{table}\n{END.format(name=name)}{tail}"
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), catalog()), encoding="utf-8")
