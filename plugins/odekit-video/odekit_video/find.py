"""The first pass: the faces of all frames, followed and smoothed, and the cuts between shots.

The search for small faces takes two thirds of a search's time. It is made in the first frame of every `BLOCK`, and in
the others where the picture changed much, or where that one has faces that only it sees well: all other faces are
found as if it were made in every frame.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Face
from odekit.errors import InputError, Stopped
from odekit.parts.faces.find import FaceFinder
from odekit.runs.face_search import face_finder, finer_search
from odekit_video.colour import coding_of, pixels_of, planes_of, upright
from odekit_video.cuts import LEAST_CHANGE, CutFinder, thumbnail
from odekit_video.motion import View, view_of
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, decoded, opened, video_stream
from odekit_video.threads import batches, map_ahead, thread_count, threads_shared
from odekit_video.tracks import Follower

if TYPE_CHECKING:
    import av

BLOCK = 6
"""Frames that are searched together."""
MARGIN = 1.2
"""Faces up to so many times the width of the widest that the search for small faces finds are searched with it."""
Seen = tuple[NDArray[np.float32], list[Face], list[View]]
"""Thumbnail of a frame, its faces, and their views."""
Tell = Callable[[str, int, int], None]
"""Receives the name of a phase, and how many of how many frames are done; 0: their number is unknown."""


def find(path: Path, info: VideoInfo, chain: Chain, tell: Tell, span: tuple[int, int | None] = (0, None)) -> Plan:
    """Follow the faces of a video.

    Args:
        path: the video.
        info: what it is.
        chain: whose faces are searched.
        tell: progress callback; it may raise to stop.
        span: the first frame in which faces are searched, and the one after the last that is read; None: to the end.

    Raises:
        InputError: no frame can be decoded.
    """
    follower, cuts, plan = Follower(), CutFinder(), Plan()
    look, threads = Look(path, info, chain, span[0]), thread_count()
    with opened(path) as container, threads_shared(threads):
        frames = numbered(decoded(container, video_stream(container, path), plan.damaged), plan, span[1])
        blocks = map_ahead(look, batches(frames, BLOCK), threads, max(1, threads - 1), look.abandoned.set)
        seen = with_next(itertools.chain.from_iterable(blocks))
        for number, ((small, faces, views), following) in enumerate(seen):
            if cuts.begins_shot(small, following[0] if following else None):
                follower.cut()
                plan.shots.append(number)
            if number >= span[0]:
                follower.add(number, faces, views)
            tell("finding faces", number + 1, info.frames)
    if not plan.pts:
        raise InputError(f"{path}: no frame of its video can be decoded")
    plan.shots.insert(0, 0)
    plan.faces, plan.lost = [[] for _ in plan.pts], [[] for _ in plan.pts]
    for track in follower.finished(len(plan.pts) - span[0]):
        found = {n for part in track.parts() for n in part}
        for number, (points, box) in track.faces().items():
            where, around = (tuple(round(float(v), 3) for v in values.ravel()) for values in (points, box))
            plan.faces[number].append((track.number, where, around))
            if number not in found:
                plan.lost[number].append(track.number)
    return plan


def with_next(seen: Iterable[Seen]) -> Iterator[tuple[Seen, Seen | None]]:
    """Each of these with the one behind it."""
    before: Seen | None = None
    for one in seen:
        if before is not None:
            yield before, one
        before = one
    if before is not None:
        yield before, None


def numbered(frames: Iterable[av.VideoFrame], plan: Plan, end: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
    """The frames before number `end` whose time stamps rise, with their numbers; the time stamps go to `plan.pts`."""
    for frame in frames:
        number = len(plan.pts)
        if end is not None and number >= end:
            return
        assert frame.pts is not None
        if plan.pts and frame.pts <= plan.pts[-1]:
            plan.damaged.append(f"the time stamp {frame.pts} does not follow {plan.pts[-1]}")
            continue
        plan.pts.append(frame.pts)
        yield number, frame


class Look:
    """Thumbnails and faces of the frames of a block. Each thread that calls it has its own detectors.

    Args:
        path: the video, for messages.
        info: what it is.
        chain: whose faces are searched.
        first: number of the first frame in which faces are searched.

    Raises:
        ConfigError: the chain has no stage `faces`.
    """

    def __init__(self, path: Path, info: VideoInfo, chain: Chain, first: int) -> None:
        self.path, self.info, self.chain, self.first = path, info, chain, first
        self.coarse, self.widest = finer_search(chain, info.width, info.height)
        self.abandoned = threading.Event()
        """Set where nobody waits for the faces any more."""
        self.free = [self._finders()]

    def __call__(self, block: Sequence[tuple[int, av.VideoFrame]]) -> list[Seen]:
        """Look at the frames of one block."""
        try:
            fine, coarse = self.free.pop()
        except IndexError:
            fine, coarse = self._finders()
        out: list[Seen] = []
        small_faces = True
        for number, frame in block:
            if self.abandoned.is_set():
                raise Stopped
            pixels = frame_pixels(frame, self.info.turns)
            if pixels.shape[1:] != (self.info.height, self.info.width):
                raise InputError(f"{self.path}: its frames change their size, at frame {number + 1}")
            small = thumbnail(pixels)
            if number < self.first:
                out.append((small, [], []))
                continue
            changed = not out or float(np.abs(small - out[-1][0]).mean()) >= LEAST_CHANGE
            faces = faces_of(pixels, fine if changed or small_faces else coarse)
            if changed:
                small_faces = any(face.box[2] - face.box[0] < MARGIN * self.widest for face in faces)
            out.append((small, faces, [view_of(pixels, face.box) for face in faces]))
        self.free.append((fine, coarse))
        return out

    def _finders(self) -> tuple[FaceFinder, FaceFinder]:
        """With the search for small faces, and without."""
        fine = face_finder(self.chain, turned=False)
        return fine, face_finder(self.chain, turned=False, smallest=self.coarse) if self.coarse else fine


def faces_of(pixels: Pixels, finder: FaceFinder) -> list[Face]:
    """The faces in a frame that the chain would restore."""
    found = finder.find(Image(pixels, origin="frame"))
    return [found.faces[n - 1] for n in found.selected()]


def frame_pixels(frame: av.VideoFrame, turns: int) -> Pixels:
    """The upright pixels (3, H, W) of a frame."""
    turned = upright(frame, turns)
    return pixels_of(planes_of(turned), coding_of(turned))
