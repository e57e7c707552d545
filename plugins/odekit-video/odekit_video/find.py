"""The first pass: the faces of all frames, followed and smoothed, and the cuts between shots."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from odekit.chains.chain import Chain
from odekit.core.image import Image, Pixels
from odekit.errors import InputError
from odekit.runs.face_search import face_finder
from odekit_video.colour import coding_of, pixels_of, planes_of, upright
from odekit_video.cuts import CutFinder
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, decoded, opened, video_stream
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
    finder, follower, cuts, plan = face_finder(chain, turned=False), Follower(), CutFinder(), Plan()
    before = path.stat()
    with opened(path) as container:
        stream = video_stream(container, path)
        for frame in decoded(container, stream, plan.damaged):
            if span[1] is not None and len(plan.pts) >= span[1]:
                break
            assert frame.pts is not None
            if plan.pts and frame.pts <= plan.pts[-1]:
                plan.damaged.append(f"the time stamp {frame.pts} does not follow {plan.pts[-1]}")
                continue
            number = len(plan.pts)
            pixels = frame_pixels(frame, info.turns)
            if pixels.shape[1:] != (info.height, info.width):
                raise InputError(f"{path}: its frames change their size, at frame {number + 1}")
            if cuts.begins_shot(pixels):
                follower.cut()
                plan.shots.append(number)
            plan.pts.append(frame.pts)
            if number >= span[0]:
                found = finder.find(Image(pixels, origin="frame"))
                follower.add(number, [found.faces[n - 1] for n in found.selected()])
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


def frame_pixels(frame: av.VideoFrame, turns: int) -> Pixels:
    """The upright pixels (3, H, W) of a frame."""
    turned = upright(frame, turns)
    return pixels_of(planes_of(turned), coding_of(turned))
