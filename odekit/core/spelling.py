"""Suggestions for misspelt names, as the last part of an error message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest name, or `; known: ...` with all names if none is close."""
    candidates = sorted(names)
    return did_you_mean(name, candidates) or (f"; known: {', '.join(candidates)}" if candidates else "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the closest name, or an empty text if none is close."""
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""
