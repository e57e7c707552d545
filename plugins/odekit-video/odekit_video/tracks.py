"""Follow faces from frame to frame by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from odekit.core.interfaces import Face
from odekit_video.smooth import smoothed

MIN_OVERLAP = 0.3
"""Smallest intersection over union of a face's boxes in successive frames."""
LONGEST_GAP = 12
"""Frames for which a face may be lost, as when a hand passes; its points are interpolated."""
SHORTEST = 5
"""Frames in which a face must be found: others are mistakes of the detector, or too short to be seen."""
BOX_POINTS = 2
"""Corners of the box that are followed with the points."""


@dataclass
class Track:
    """One face in successive frames of a shot."""

    number: int
    shot: int
    found: dict[int, Face] = field(default_factory=dict)
    """Number of the frame -> the face as it was detected."""

    @property
    def first(self) -> int:
        """Number of its first frame."""
        return min(self.found)

    @property
    def last(self) -> int:
        """Number of its last frame."""
        return max(self.found)

    def faces(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For each frame from first to last the smoothed points (5, 2) and box (4,), also where the face was lost."""
        frames = np.arange(self.first, self.last + 1)
        known = np.array(sorted(self.found))
        raw = np.stack([flat(self.found[int(frame)]) for frame in known])
        every = np.stack([np.interp(frames, known, column) for column in raw.T], 1)
        lines = smoothed(every)
        return {int(f): (line[:10].reshape(5, 2), line[10:]) for f, line in zip(frames, lines, strict=True)}


def flat(face: Face) -> NDArray[np.float64]:
    """Points and box of a face, (14,)."""
    return np.concatenate([np.asarray(face.points, np.float64).ravel(), np.asarray(face.box, np.float64)])


def overlap(one: Sequence[float], two: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return width * height / (sum(areas) - width * height)


class Follower:
    """Joins the faces of successive frames to tracks."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.open: list[Track] = []
        self.shot = 0

    def cut(self) -> None:
        """Begin a new shot: all tracks end."""
        self.open, self.shot = [], self.shot + 1

    def add(self, frame: int, faces: Sequence[Face]) -> None:
        """The faces of the next frame. The pairs that overlap most are joined first."""
        self.open = [track for track in self.open if frame - track.last <= LONGEST_GAP]
        pairs = sorted(
            ((overlap(track.found[track.last].box, face.box), t, f)
             for t, track in enumerate(self.open) for f, face in enumerate(faces)),
            reverse=True,
        )  # fmt: skip
        tracks, taken = set[int](), set[int]()
        for share, t, f in pairs:
            if share >= MIN_OVERLAP and t not in tracks and f not in taken:
                self.open[t].found[frame] = faces[f]
                tracks.add(t)
                taken.add(f)
        for f, face in enumerate(faces):
            if f not in taken:
                track = Track(len(self.tracks) + 1, self.shot, {frame: face})
                self.tracks.append(track)
                self.open.append(track)

    def finished(self, frames: int) -> list[Track]:
        """The tracks of a video with this number of frames, without those that are too short."""
        least = min(SHORTEST, max(1, frames))
        return [track for track in self.tracks if len(track.found) >= least]
