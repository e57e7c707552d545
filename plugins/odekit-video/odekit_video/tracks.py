"""Follow faces from frame to frame by the overlap of their boxes, and smooth their points.

Points are smoothed in coordinates that move with the face: there a face that moves through the picture is nearly still.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from odekit.core.interfaces import Face
from odekit_video.motion import IDENTITY, Matrix, View, after_both, inverse, moved_by, step
from odekit_video.smooth import smoothed

MIN_OVERLAP = 0.3
"""Smallest intersection over union of a face's boxes in successive frames."""
LONGEST_GAP = 24
"""Frames for which a face may be lost, as when somebody passes; its points are interpolated. In each of these frames
`odekit_video.hidden` sees what the face looked like within half as many frames."""
LEAST_AREA, WHOLE_AREA = 0.85, 0.96
"""Beside a gap, a face whose box covers less than the first share of what it did before is found in what is seen of it
only, squeezed: there it is lost, too, back to the frame in which its box covers the second share."""
DETECTOR_ERROR = 0.02
"""How far a detector errs alike in frames that are alike, in widths of the face. A head that turns changes by more."""
SPEED_FRAMES = 8
"""Frames by which it is told how fast a face moves."""
SHORTEST = 5
"""Frames in which a face must be found: others are mistakes of the detector, or too short to be seen."""
MOST_UNSEEN = 0.2
"""Share of a track's frames whose pixels may not tell how the face moved; with more, its points alone are smoothed."""
FOLLOWED_HALF_WIDTH = 16
"""Frames on each side over which points are averaged at least, in coordinates that move with the face. A detector errs
alike in frames that are alike, by some hundredths of the face, so that fewer would follow its errors."""


@dataclass
class Track:
    """One face in successive frames of a shot."""

    number: int
    shot: int
    found: dict[int, Face] = field(default_factory=dict)
    """Number of the frame -> the face as it was detected."""
    moved: dict[int, Matrix] = field(default_factory=dict)
    """Number of the frame -> how the face moved from the first frame to this one."""
    unseen: int = 0
    """Frames whose pixels did not tell how the face moved."""
    view: View | None = None
    """Of the last frame, while the track may go on."""

    def add(self, frame: int, face: Face, view: View | None) -> None:
        """The face in another frame. Where its pixels do not tell how it moved, the middle of its points does."""
        if self.found:
            before, last = self.found[self.last], self.moved[self.last]
            motion = None if self.view is None or view is None else step(self.view, view)
            if motion is None:
                self.unseen += 1
                shift = np.mean(np.asarray(face.points, np.float64) - np.asarray(before.points, np.float64), 0)
                motion = np.column_stack([np.eye(2), shift])
            self.moved[frame] = after_both(last, motion)
        else:
            self.moved[frame] = IDENTITY
        self.found[frame], self.view = face, view

    @property
    def first(self) -> int:
        """Number of its first frame."""
        return next(iter(self.found))

    @property
    def last(self) -> int:
        """Number of its last frame."""
        return next(reversed(self.found))

    def overlap(self, face: Face, frame: int) -> float:
        """Intersection over union of its box and one in a later frame; the largest of its last boxes after a gap, in
        which half of the face may have been hidden, and of where it may have moved meanwhile.
        """
        if frame - self.last == 1:
            return overlap(self.found[self.last].box, face.box)
        last = {n: self.found[n].box for n in sorted(self.found)[-LONGEST_GAP:]}
        return max(overlap(one, face.box) for one in (*last.values(), self._ahead(last, frame)))

    def _ahead(self, boxes: Mapping[int, Sequence[float]], frame: int) -> Sequence[float]:
        """Where the largest of the last boxes lies in a later frame, if the face goes on as its last ones did."""
        numbers = list(boxes)[-SPEED_FRAMES:]
        middles = np.array([[boxes[n][0] + boxes[n][2], boxes[n][1] + boxes[n][3]] for n in numbers]) / 2
        span = numbers[-1] - numbers[0]
        speed = (middles[-1] - middles[0]) / span if span else np.zeros(2)
        from_frame = max(boxes, key=lambda n: area(boxes[n]))
        shift = speed * (frame - from_frame)
        return tuple(np.asarray(boxes[from_frame]) + np.tile(shift, 2))

    def parts(self) -> list[list[int]]:
        """The frames in which the face was found, without those beside a gap in which it was squeezed, cut at gaps."""
        frames = np.array(sorted(self.found))
        parts = [[int(n) for n in part] for part in np.split(frames, np.flatnonzero(np.diff(frames) > 2) + 1)]
        for one, next_one in itertools.pairwise(parts):
            self._without_squeezed(one, -1)
            self._without_squeezed(next_one, 0)
        return [part for part in parts if part] or [[int(n) for n in frames]]

    def _without_squeezed(self, frames: list[int], end: int) -> None:
        """Take off the frames at one end in which the box is smaller than it mostly is near that end."""
        near = frames[-LONGEST_GAP:] if end else frames[:LONGEST_GAP]
        usual = float(np.quantile([area(self.found[n].box) for n in near], 0.75))
        least = LEAST_AREA
        while frames and area(self.found[frames[end]].box) < least * usual:
            frames.pop(end)
            least = WHOLE_AREA

    def faces(self) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For each frame from first to last the smoothed points (5, 2) and box (4,), also where the face was lost."""
        followed = self.unseen <= MOST_UNSEEN * len(self.found)
        parts = self.parts()
        known = [n for part in parts for n in part]
        lines = np.concatenate([self._lines(part, followed) for part in parts])
        frames = np.arange(self.first, self.last + 1)
        every = np.stack([np.interp(frames, known, column) for column in lines.T], 1)
        return {int(f): (line[:10].reshape(5, 2), line[10:]) for f, line in zip(frames, every, strict=True)}

    def _lines(self, frames: Sequence[int], followed: bool) -> NDArray[np.float64]:
        """Smoothed points and corners (frames, 14) of successive frames."""
        moved = [self.moved[n] if followed else IDENTITY for n in frames]
        still = [moved_by(inverse(m), flat(self.found[n])).ravel() for m, n in zip(moved, frames, strict=True)]
        width = float(np.median([self.found[n].box[2] - self.found[n].box[0] for n in frames]))
        steady = smoothed(np.stack(still), FOLLOWED_HALF_WIDTH if followed else 0, DETECTOR_ERROR * width)
        lines = np.stack([moved_by(m, row.reshape(-1, 2)).ravel() for m, row in zip(moved, steady, strict=True)])
        return smoothed(lines) if followed else lines  # how it moved is noisy, too


def area(box: Sequence[float]) -> float:
    """Of a box."""
    return (box[2] - box[0]) * (box[3] - box[1])


def flat(face: Face) -> NDArray[np.float64]:
    """Points of a face and two corners of its box, (7, 2)."""
    return np.concatenate([np.asarray(face.points, np.float64), np.asarray(face.box, np.float64).reshape(2, 2)])


def overlap(one: Sequence[float], two: Sequence[float]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (area(one) + area(two) - width * height)


class Follower:
    """Joins the faces of successive frames to tracks."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.open: list[Track] = []
        self.shot = 0

    def cut(self) -> None:
        """Begin a new shot: all tracks end."""
        self._keep_open([])
        self.shot += 1

    def add(self, frame: int, faces: Sequence[Face], views: Sequence[View] = ()) -> None:
        """The faces of the next frame, and their views. The pairs that overlap most are joined first."""
        seen = dict(enumerate(views))
        self._keep_open([track for track in self.open if frame - track.last <= LONGEST_GAP])
        pairs = sorted(
            ((track.overlap(face, frame), t, f)
             for t, track in enumerate(self.open) for f, face in enumerate(faces)),
            reverse=True,
        )  # fmt: skip
        tracks, taken = set[int](), set[int]()
        for share, t, f in pairs:
            if share >= MIN_OVERLAP and t not in tracks and f not in taken:
                self.open[t].add(frame, faces[f], seen.get(f))
                tracks.add(t)
                taken.add(f)
        for f, face in enumerate(faces):
            if f not in taken:
                track = Track(len(self.tracks) + 1, self.shot)
                track.add(frame, face, seen.get(f))
                self.tracks.append(track)
                self.open.append(track)

    def finished(self, frames: int) -> list[Track]:
        """The tracks of a video with this number of frames, without those that are too short."""
        least = min(SHORTEST, max(1, frames))
        return [track for track in self.tracks if len(track.found) >= least]

    def _keep_open(self, tracks: list[Track]) -> None:
        """End all other tracks; their views are not needed any more."""
        for track in self.open:
            if all(track is not one for one in tracks):
                track.view = None
        self.open = tracks
