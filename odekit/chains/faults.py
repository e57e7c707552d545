"""Where an unexpected error came from, for the author of a part: part, distribution, stage, file and line."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from odekit.chains.plan import all_parts
from odekit.chains.resolve import ChainSpec, iter_stages
from odekit.core.objects import ObjectPart, distribution_of
from odekit.core.options import Part
from odekit.errors import OdekitError
from odekit.plugins.catalog import BUILT_IN, Catalog


def place_of_fault(error: BaseException, stage: str, spec: ChainSpec, catalog: Catalog) -> dict[str, Any]:
    """Part, distribution, stage, file and line of an error that a stage did not expect; empty without a traceback.

    The line is the innermost one of a part that is not built in: libraries below it are called by it. If there is none,
    it is the innermost one of all.
    """
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not frames:
        return {}
    parts = [part for part, _ in iter_stages(spec.items)] + all_parts(spec)
    foreign = {catalog.entry_of(part).dist for part in parts} - {BUILT_IN}
    inner = [(frame, line, dist) for frame, line in frames if (dist := _distribution(frame)) in foreign]
    frame, line, dist = inner[-1] if inner else (*frames[-1], BUILT_IN)
    path = Path(frame.f_code.co_filename)
    place: dict[str, Any] = {"stage": stage, "file": f"{path.parent.name}/{path.name}", "line": line}
    if inner:
        place |= {"distribution": dist}
        part = _part_of(frame, [part for part in parts if catalog.entry_of(part).dist == dist], catalog)
        place |= {} if part is None else {"part": f"{part.kind} '{part.name}'"}
    return place


def _distribution(frame: FrameType) -> str:
    return distribution_of(str(frame.f_globals.get("__name__", "")))


def _part_of(frame: FrameType, candidates: list[Part], catalog: Catalog) -> Part | None:
    """The part whose object runs in a frame; the only one of its distribution, if the frame has none of its objects."""
    mine = frame.f_locals.get("self")
    for part in candidates:
        if isinstance(part, ObjectPart):
            if part.value is mine:
                return part
            continue
        try:
            factory = catalog.entry_of(part).load()
        except OdekitError:
            continue
        if factory is type(mine) or factory.__qualname__ == type(mine).__qualname__:
            return part
    return candidates[0] if len(candidates) == 1 else None


def place_text(place: dict[str, Any]) -> str:
    """` (solver 'mine' of odekit-mine, stage 'restore', odekit_mine/solver.py:42)`; empty without a place."""
    if not place:
        return ""
    part = place.get("part", "code")
    dist = f"{part} of {place['distribution']}, " if "distribution" in place else ""
    return f" ({dist}stage '{place['stage']}', {place['file']}:{place['line']})"
