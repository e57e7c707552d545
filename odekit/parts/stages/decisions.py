"""What the stages of a face's chain decided, read from their record entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def strengths(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the strengths that `iterations: auto` chose, one per round."""
    return [decision["strength"] for entry in entries for decision in entry.get("strength", ())]


SLIGHT = ("none", "faint")
"""Strengths that change little; a face is left as it was if its result is not worth more."""
SLIGHT_NOISE, SLIGHT_OUTLIERS = 0.04, 0.02
"""Noise and share of outliers up to which the inverter `blind` changes little: the grain of a good photograph."""


def changed_much(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the stages so far changed a face by more than a slight strength.

    Corrections of blur and colours count. A stage without a decision counts, unless it is `upsample`.
    """
    for entry in entries:
        if corrected(entry):
            return True
        if entry.get("stage") == "restore":
            decisions, found = entry.get("strength"), entry.get("blind")
            if not (decisions or found) or (found and not slight(found)):
                return True
            if any(decision["strength"] not in SLIGHT for decision in decisions or ()):
                return True
        elif entry.get("stage") == "denoise":
            if entry.get("denoised") or entry.get("impulses_removed"):
                return True
        elif entry.get("stage") not in ("upsample", "save"):
            return True
    return False


def corrected(entry: Mapping[str, Any]) -> bool:
    """Whether `restore` corrected blur, colours or hidden parts before the inversion, according to its record entry."""
    blur, colour = entry.get("blur"), entry.get("colour")
    sharpened = isinstance(blur, Mapping) and blur.get("undone", True)
    return sharpened or (isinstance(colour, Mapping) and bool(colour.get("damaged"))) or bool(entry.get("occlusions"))


def slight(found: Mapping[str, Any]) -> bool:
    """Whether the inverter `blind` left a face as it was or hardly changed it, according to its findings."""
    few = found.get("noise", 0.0) <= SLIGHT_NOISE and found.get("outliers", 0.0) <= SLIGHT_OUTLIERS
    return bool(found.get("untouched")) or few


def without_updates(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether every inversion of a face's chain chose to change nothing; False where none had a choice."""
    chosen = strengths(entries)
    found = [entry["blind"] for entry in entries if isinstance(entry.get("blind"), Mapping)]
    changed = any(name != "none" for name in chosen) or any(not one.get("untouched") for one in found)
    return bool(chosen or found) and not changed and not any(map(corrected, entries))


def narrowest_side(entries: Sequence[Mapping[str, Any]], side: int) -> int:
    """Smallest side of a picture in a face's chain, in pixels; a guided upsampler starts anew: it sees the face.

    Args:
        entries: record entries of the stages.
        side: of the face as it entered the chain.
    """
    narrow = side
    for entry in entries:
        size = int(entry["size"][0])
        narrow = min(size, side) if entry.get("guided") else min(narrow, size)
    return narrow
