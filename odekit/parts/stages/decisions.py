"""What the stages of a face's chain decided, read from their record entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

def strengths(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the strengths that `iterations: auto` chose, one per round."""
    return [decision["strength"] for entry in entries for decision in entry.get("strength", ())]


def changed_nothing(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the stages so far left a face as it was: strength `none` everywhere, and no correction.

    A stage without a decision counts as a change, unless it is one that never changes a face's content (`upsample`).
    """
    for entry in entries:
        if corrected(entry):
            return False
        decisions = entry.get("strength")
        if entry.get("stage") == "restore" and (not decisions or any(d["strength"] != "none" for d in decisions)):
            return False
        if entry.get("stage") not in ("restore", "upsample", "save"):
            return False
    return True


def corrected(entry: Mapping[str, Any]) -> bool:
    """Whether `restore` corrected blur or colours before the inversion, according to its record entry."""
    blur, colour = entry.get("blur"), entry.get("colour")
    sharpened = isinstance(blur, Mapping) and blur.get("undone", True)
    return sharpened or (isinstance(colour, Mapping) and bool(colour.get("damaged")))


def narrowest_side(entries: Sequence[Mapping[str, Any]], side: int) -> int:
    """Smallest side of a picture in a face's chain, in pixels; a guided upsampler starts anew, because it sees the face.

    Args:
        entries: record entries of the stages.
        side: of the face as it entered the chain.
    """
    narrow = side
    for entry in entries:
        size = int(entry["size"][0])
        narrow = min(size, side) if entry.get("guided") else min(narrow, size)
    return narrow
