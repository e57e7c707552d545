"""The first pass: the faces of all frames, followed and smoothed, and the cuts between shots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.chains.chain import Chain
from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Face
from odekit.errors import InputError
from odekit.runs.face_search import face_finder
from odekit_video.colour import coding_of, pixels_of, planes_of, upright
from odekit_video.cuts import CutFinder, thumbnail
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, decoded, opened, video_stream
from odekit_video.threads import map_ahead, thread_count
from odekit_video.tracks import Follower

if TYPE_CHECKING:
    import av

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
        InputError: no frame can be decoded, or the file changed meanwhile.
    """
    follower, cuts, plan = Follower(), CutFinder(), Plan()
    before = path.stat()
    look = Look(path, info, chain, span[0])
    with opened(path) as container:
        frames = numbered(decoded(container, video_stream(container, path), plan.damaged), plan, span[1])
        for number, (small, faces) in enumerate(map_ahead(look, frames, thread_count())):
            if cuts.begins_shot(small):
                follower.cut()
                plan.shots.append(number)
            if number >= span[0]:
                follower.add(number, faces)
            tell("finding faces", number + 1, info.frames)
    after = path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InputError(f"{path}: it changed while it was read; wait until it is complete")
    if not plan.pts:
        raise InputError(f"{path}: no frame of its video can be decoded")
    plan.shots.insert(0, 0)
    plan.faces = [[] for _ in plan.pts]
    for track in follower.finished(len(plan.pts) - span[0]):
        for number, (points, box) in track.faces().items():
            where, around = (tuple(round(float(v), 3) for v in values.ravel()) for values in (points, box))
            plan.faces[number].append((track.number, where, around))
    return plan


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
    """Thumbnail and faces of a frame. Each thread that calls it has its own detector.

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
        self.free = [face_finder(chain, turned=False)]

    def __call__(self, numbered_frame: tuple[int, av.VideoFrame]) -> tuple[NDArray[np.float32], list[Face]]:
        """Look at one frame."""
        number, frame = numbered_frame
        pixels = frame_pixels(frame, self.info.turns)
        if pixels.shape[1:] != (self.info.height, self.info.width):
            raise InputError(f"{self.path}: its frames change their size, at frame {number + 1}")
        if number < self.first:
            return thumbnail(pixels), []
        try:
            finder = self.free.pop()
        except IndexError:
            finder = face_finder(self.chain, turned=False)
        found = finder.find(Image(pixels, origin="frame"))
        self.free.append(finder)
        return thumbnail(pixels), [found.faces[n - 1] for n in found.selected()]


def frame_pixels(frame: av.VideoFrame, turns: int) -> Pixels:
    """The upright pixels (3, H, W) of a frame."""
    turned = upright(frame, turns)
    return pixels_of(planes_of(turned), coding_of(turned))
