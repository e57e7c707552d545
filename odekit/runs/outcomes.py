"""What became of one face, from the entries that the stages wrote into its record."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Entry = Mapping[str, Any]
"""The part of a record that one stage, or one face, wrote."""

GOOD_ENOUGH = "good enough"
"""Reason for a face in which nothing was found to remove, or for which no gain is predicted. It does not measure that
the face is undamaged."""
NO_CHANGE = "no visible change"
TOO_DIFFERENT = "face distance over the limit"
"""Reason for a face whose result was beyond the largest face distance that the user allowed."""
NOT_ASKED = "strength none was set"
"""Reason for a face of which the user set the strength to `none`."""
UPSAMPLER_ALONE, DETAIL_ALONE = "upsampler alone", "detail alone"
"""In place of a strength: no update was made, but the result of the upsampler, or of a guided one, was used."""
DUPLICATE = "overlaps a better one"
"""Reason in records for a second box of the same face, which is not counted as a face."""
LEFT_OUT = (
    (r"px wide, under select\.min_side", "too small"),
    (r"^score ", "score too low"),
    (r"^in select\.skip", "in select.skip"),
    (r"^not in select\.index|^not the one of", "not selected"),
    (r"^beyond select\.max_faces", "beyond select.max_faces"),
)
"""Patterns of the reasons in records for which faces are left out, with short forms; others are used as written."""
LEAST_CHANGE = 0.5 / 255
"""Smallest change of a pasted face, as the largest difference of a pixel in [0, 1], that changes an 8-bit file."""
BLIND, FILLED = "blind", "filled"
"""In place of a strength: the inverter `blind` changed the face; hidden parts of it were drawn anew."""
AREA_LEFT = "one-colour area left"
"""Reason for a face in front of which something of one colour may be, that was left as it was."""
BURNT_OUT = "burnt out"
"""Reason for a face under too much light, which a prior cannot judge."""


def outcome_of(face: Entry) -> tuple[str, str]:
    """(strength, "") of a face that was restored, or ("", reason) of one that was left as it was."""
    if "left_out" in face:
        return "", _short_reason(str(face["left_out"]))
    if "failed" in face:
        return "", "failed"
    stages = list(entries(face.get("stages")))
    decisions = [decision for stage in stages for decision in entries(stage.get("strength"))]
    names = [str(decision["strength"]) for decision in decisions if "strength" in decision]
    strengths = list(dict.fromkeys([*inverted(stages), *names]))
    chosen = [strength for strength in strengths if strength != "none"]
    untreated = NOT_ASKED if any(decision.get("given") is True for decision in decisions) else GOOD_ENOUGH
    untreated = BURNT_OUT if any("burnt_out" in mapping(stage.get("blind")) for stage in stages) else untreated
    untreated = AREA_LEFT if any(stage.get("areas_left") for stage in stages) else untreated
    upsamplers = [stage for stage in stages if stage.get("stage") == "upsample"]
    judgements = [mapping(stage.get("detail")) for stage in upsamplers if stage.get("guided") is True]
    kept, change = face.get("kept"), face.get("change")
    if any(share == 0 for share in shares_of(stages)):
        return "", TOO_DIFFERENT
    if kept is None and any(judgement.get("kept_original") is True for judgement in judgements):
        kept = GOOD_ENOUGH
    if kept is not None:
        return "", untreated if (strengths and not chosen) or untreated in (AREA_LEFT, BURNT_OUT) else str(kept)
    if isinstance(change, int | float) and change < LEAST_CHANGE:
        return "", untreated if strengths and not chosen else NO_CHANGE
    if chosen or not strengths:
        return "+".join(chosen), ""
    if "number" in face:
        return DETAIL_ALONE if judgements else UPSAMPLER_ALONE if upsamplers else "no update", ""
    # An aligned face: its repairs and its upsampler are listed on their own.
    return (DETAIL_ALONE, "") if any(judgement.get("act", True) for judgement in judgements) else ("", untreated)


def inverted(stages: list[Entry]) -> Iterator[str]:
    """What inverters that decide by themselves did: `none`, `blind`, `filled`."""
    for stage in stages:
        found = mapping(stage.get("blind"))
        if stage.get("occlusions"):
            yield FILLED
        if found:
            yield "none" if found.get("untouched") is True else BLIND


def shares_of(stages: Iterable[Entry]) -> Iterator[float]:
    """Shares of results in mixtures with their originals, from the stage `keep-identity`."""
    values = (mapping(stage.get("identity")).get("share") for stage in stages)
    return (value for value in values if isinstance(value, int | float))


def _short_reason(reason: str) -> str:
    return next((short for pattern, short in LEFT_OUT if re.search(pattern, reason)), reason)


def entries(value: Any) -> Iterator[Entry]:
    """The mappings of a list; records of plugins may hold anything."""
    return (entry for entry in value if isinstance(entry, dict)) if isinstance(value, list) else iter(())


def mapping(value: Any) -> Entry:
    """The value, or an empty mapping in place of anything else."""
    return value if isinstance(value, dict) else {}
