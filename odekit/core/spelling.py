"""FILL core.spelling."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """What to add to an error: `; did you mean 'x'?` for the closest name, or the names where none is close."""
    known = sorted(names)
    return did_you_mean(name, known) or (f"; known: {', '.join(known)}" if known else "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest name, or nothing where none is close."""
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
