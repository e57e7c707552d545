"""Compare a chain stored in run.json or in a record with the chain of this run."""

from __future__ import annotations

from typing import Any

from odekit.chains import document
from odekit.chains.chain import Chain
from odekit.plugins.catalog import BUILT_IN, Catalog


def with_defaults(stored: Any, parts: Catalog) -> Any:
    """A stored chain with the defaults of options that were added since; unchanged if it is not a valid chain."""
    try:
        return Chain.from_document(document.Document(stored, "", {}, owner=BUILT_IN), (), parts).tree()
    except Exception:  # a record may contain anything
        return stored


def first_difference(stored: Any, current: Any, path: str = "") -> str:
    """The first difference of two chains, as text; empty if they are equal."""
    if isinstance(stored, dict) and isinstance(current, dict):
        for key in [*current, *(key for key in stored if key not in current)]:
            key_path = f"{path}.{key}".lstrip(".") if key != "chain" else path
            if difference := first_difference(stored.get(key), current.get(key), key_path):
                return difference
        return ""
    if isinstance(stored, list) and isinstance(current, list) and len(stored) == len(current):
        differences = (first_difference(a, b, path) for a, b in zip(stored, current, strict=True))
        return next(filter(None, differences), "")
    return "" if stored == current else f"{path or 'it'} was {_shorten(stored)} and is now {_shorten(current)}"


def _shorten(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
