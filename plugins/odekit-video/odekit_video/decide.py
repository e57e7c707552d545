"""Decide once for each face and shot what is done, from a few frames, so that no frame differs from the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median_low
from typing import Any

from odekit.core.image import Image
from odekit_video.find import Tell, frame_pixels
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, frames_at
from odekit_video.sessions import Sessions
from odekit_video.threads import batches, map_ahead, threads_shared

PLACES = (1 / 6, 1 / 2, 5 / 6)
"""Where in a shot the frames lie from which it is decided, as fractions of its length."""
REPAIRS = ("blocks", "scratches", "blur", "fading")
"""What the stage `mend` may do."""

Votes = dict[str, list[bool]]


def sample_frames(plan: Plan, first: int = 0) -> list[int]:
    """The frames from which it is decided: three of each shot, and the middle one of tracks in none of them.

    Args:
        plan: of the video.
        first: number of the first frame that is restored.
    """
    ends = [*plan.shots[1:], len(plan.pts)]
    spans = [(max(first, begin), end) for begin, end in zip(plan.shots, ends, strict=True) if end > first]
    chosen = {begin + int(place * (end - begin)) for begin, end in spans for place in PLACES}
    frames: dict[int, list[int]] = defaultdict(list)
    for number, faces in enumerate(plan.faces):
        for track, _, _ in faces:
            frames[track].append(number)
    for numbers in frames.values():
        if not chosen.intersection(numbers):
            chosen.add(numbers[len(numbers) // 2])
    return sorted(chosen)


def decide(path: Path, info: VideoInfo, plan: Plan, sessions: Sessions, key: str, tell: Tell, first: int = 0) -> None:
    """Run the chain on sample frames, and set `plan.tracks` and `plan.pictures` to what most of them say.

    `plan.qualities` become the medians of the qualities of compression that were found, where blocks were removed.
    A tie counts as "treat". A track or shot about which no sample says anything is left to the chain.
    """
    samples = sample_frames(plan, first)
    tracks: dict[int, Votes] = defaultdict(lambda: defaultdict(list))
    shots: list[Votes] = [defaultdict(list) for _ in plan.shots]
    qualities: list[list[int]] = [[] for _ in plan.shots]

    def records(numbers: Sequence[int]) -> list[tuple[int, dict[str, Any]]]:
        images = {number: sample_image(path, info, plan, key, number) for number in numbers}
        seen = {number: image for number, image in images.items() if image is not None}
        with sessions.one() as session:
            results = session.run(list(seen.values())) if seen else []
        return [(number, result.record) for number, result in zip(seen, results, strict=True)]

    workers, done = sessions.workers, 0
    with threads_shared(workers.count):
        for some in map_ahead(records, batches(samples, workers.batch), workers.count, abandon=sessions.abandoned.set):
            for number, record in some:
                for name, treated in picture_decisions(record["stages"]):
                    shots[plan.shot_of(number)][name].append(treated)
                qualities[plan.shot_of(number)] += [
                    stage["quality"] for stage in record["stages"] if "quality" in stage
                ]
                for (track, _, _), face in zip(plan.faces[number], face_entries(record["stages"]), strict=False):
                    for name, treated in face_decisions(face):
                        tracks[track][name].append(treated)
            done += len(some)
            tell("deciding", done, len(samples))
    plan.tracks = {track: majority(votes) for track, votes in tracks.items()}
    plan.pictures = [majority(votes) for votes in shots]
    plan.qualities = [median_low(found) if found else 0 for found in qualities]


def sample_image(path: Path, info: VideoInfo, plan: Plan, key: str, number: int) -> Image | None:
    """A frame as the chain takes it; None if it cannot be decoded."""
    frame = next(frames_at(path, [plan.pts[number]]), None)
    return frame and Image(frame_pixels(frame, info.turns), origin=key, faces=plan.known(number, key))


def majority(votes: Votes) -> dict[str, bool]:
    """What at least half of the votes say."""
    return {name: 2 * sum(given) >= len(given) for name, given in votes.items()}


def face_entries(stages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The faces of a photograph's record, in the order of their numbers."""
    return [face for stage in stages for face in stage.get("faces", ())]


def face_decisions(face: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """What the stages decided for a face, by the names of `Image.decided`."""
    for stage in face.get("stages", ()):
        found = stage.get("blind")
        if isinstance(found, Mapping):
            yield "restore", not found.get("untouched")
        detail = stage.get("detail")
        if isinstance(detail, Mapping):
            yield "detail", bool(detail.get("act"))


def picture_decisions(stages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, bool]]:
    """What the stages decided for the whole frame, by the names of `Image.decided`."""
    for stage in stages:
        if "mended" in stage:
            yield from ((name, name in stage["mended"]) for name in REPAIRS)
        if "denoised" in stage:
            yield "noise", bool(stage["denoised"])
            yield "impulses", bool(stage.get("impulses_removed"))
        for inner in stage.get("background") or ():
            yield from picture_decisions([inner])
