"""What the stages of a face's chain decided, read from their record entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def strengths(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the strengths that `iterations: auto` chose, one per round."""
    return [decision["strength"] for entry in entries for decision in entry.get("strength", ())]


SLIGHT = ("none", "faint")
"""Strengths that change little; a face is left as it was if its result is not worth more."""


def changed_much(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the stages so far changed a face by more than a slight strength.

    Corrections of blur and colours count. A stage without a decision counts, unless it is `upsample`.
    """
    for entry in entries:
        if corrected(entry):
            return True
        if entry.get("stage") == "restore":
            decisions = entry.get("strength")
            if not decisions or any(decision["strength"] not in SLIGHT for decision in decisions):
                return True
        elif entry.get("stage") == "denoise":
            if entry.get("denoised") or entry.get("impulses_removed"):
                return True
        elif entry.get("stage") not in ("upsample", "save"):
            return True
    return False


def corrected(entry: Mapping[str, Any]) -> bool:
    """Whether `restore` corrected blur or colours before the inversion, according to its record entry."""
    blur, colour = entry.get("blur"), entry.get("colour")
    sharpened = isinstance(blur, Mapping) and blur.get("undone", True)
    return sharpened or (isinstance(colour, Mapping) and bool(colour.get("damaged")))


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
