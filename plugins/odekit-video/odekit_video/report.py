"""What the record and the line of the console say about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from odekit_video.decide import REPAIRS
from odekit_video.plan import Plan


def tracks_tree(plan: Plan) -> list[dict[str, Any]]:
    """Each track in the form of the record: its frames, and what was decided."""
    frames: dict[int, list[int]] = {}
    for number, faces in enumerate(plan.faces):
        for track, _, _ in faces:
            frames.setdefault(track, []).append(number)
    return [
        {"track": track, "first": numbers[0], "last": numbers[-1], "decided": plan.tracks.get(track, {})}
        for track, numbers in sorted(frames.items())
    ]


def line_of(record: Mapping[str, Any]) -> str:
    """The line of the console: what was found and done."""
    parts = [f"{counted(record['frames'], 'frame')}, {counted(record['shots'], 'shot')}"]
    parts += [faces_line([track["decided"] for track in record["tracks"]]), *pictures_lines(record["pictures"])]
    if damaged := record["packets_damaged"]:
        parts.append(f"{counted(len(damaged), 'damaged packet')} skipped")
    if failed := record["failed"]:
        parts.append(f"{counted(len(failed), 'frame')} kept as they were ({failed[-1]['reason']})")
    return "; ".join([f"{record['output']}: {parts[0]}", *parts[1:], *record["notes"]])


def faces_line(decided: Sequence[Mapping[str, bool]]) -> str:
    """How many faces there are, and what was done with them, by what was decided for each."""
    if not decided:
        return "no faces found"
    treated, open_ones = sum(any(one.values()) for one in decided), sum(not one for one in decided)
    words = [
        counted(len(decided), "face"), f"{treated} restored", f"{len(decided) - treated - open_ones} left",
    ]  # fmt: skip
    return ", ".join(words + [f"{open_ones} decided anew in each frame"] * (open_ones > 0))


def pictures_lines(shots: Sequence[Mapping[str, bool]]) -> list[str]:
    """What was done with whole frames, by what was decided for each shot."""
    decided = [shot for shot in shots if shot]
    out = []
    for names, word in ((("noise", "impulses"), "denoised"), (REPAIRS, "mended")):
        treated = [shot for shot in decided if any(shot.get(name) for name in names)]
        if treated:
            which = (
                "all frames" if len(treated) == len(shots) else f"the frames of {len(treated)} of {len(shots)} shots"
            )
            repairs = [name for name in REPAIRS if word == "mended" and any(shot.get(name) for shot in treated)]
            details = f" ({', '.join(repairs)})" if repairs else ""
            out.append(f"{which} {word}{details}")
    return out


def counted(count: int, word: str) -> str:
    """A number and its word, such as `1 frame` and `2 frames`."""
    return f"{count} {word}{'s' * (count != 1)}"
