"""The second pass: the chain on every frame, segment by segment; finished segments are kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.chains.session import Session
from odekit.core.files import write_atomic
from odekit.core.image import Image
from odekit.errors import ConfigError, InputError, OdekitError
from odekit_video.colour import changed_planes, coding_of, frame_of, pixels_of, planes_of, upright
from odekit_video.encode import Encoding, SegmentWriter
from odekit_video.find import Tell
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, frames_at

if TYPE_CHECKING:
    import av

SEGMENT = 120
"""Frames of a segment: what an interrupted run does again at most."""
BATCH = 8
"""Frames in progress at once: their faces share network calls."""


@dataclass
class Restorer:
    """Runs a chain on the frames of a video."""

    path: Path
    info: VideoInfo
    plan: Plan
    session: Session
    key: str
    encoding: Encoding
    tell: Tell
    first: int = 0
    """Number of the first frame that is restored and written."""
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Frames of the segment at work that the chain could not restore, with the reasons; they stay as they were."""

    def segments(self) -> list[tuple[int, int]]:
        """First and last frame (exclusive) of each segment."""
        count = len(self.plan.pts)
        return [(start, min(start + SEGMENT, count)) for start in range(self.first, count, SEGMENT)]

    def run(self, folder: Path) -> list[Path]:
        """Restore all segments that are not in the folder yet; returns the files of all."""
        files = []
        for start, end in self.segments():
            file = folder / f"segment-{start:07d}.nut"
            if not file.exists():
                self._segment(start, end, file)
            files.append(file)
            self.tell("restoring", end - self.first, len(self.plan.pts) - self.first)
        return files

    def failures(self, folder: Path) -> list[dict[str, Any]]:
        """The frames of all segments that could not be restored, also of earlier runs, with the reasons."""
        return [one for file in sorted(folder.glob("segment-*.json")) for one in json.loads(file.read_bytes())]

    def _segment(self, start: int, end: int, file: Path) -> None:
        half, self.failed = file.with_suffix(".part"), []
        writer: SegmentWriter | None = None
        waiting: list[tuple[int, av.VideoFrame]] = []
        stamps = {pts: number for number, pts in enumerate(self.plan.pts[start:end], start)}
        done = 0
        for frame in frames_at(self.path, list(stamps)):
            number = stamps.pop(frame.pts or 0)
            waiting.append((number, upright(frame, self.info.turns)))
            if len(waiting) == BATCH or not stamps:
                writer = writer or SegmentWriter(half, self.encoding, waiting[0][1], self.plan.pts[start])
                for restored in self._frames(waiting):
                    writer.add(restored)
                done += len(waiting)
                self.tell("restoring", start - self.first + done, len(self.plan.pts) - self.first)
                waiting = []
        if writer is None or stamps:
            raise InputError(f"{self.path}: frame {min(stamps.values(), default=start)} cannot be decoded again")
        writer.close()
        write_atomic(json.dumps(self.failed).encode(), file.with_suffix(".json"))
        half.replace(file)

    def _frames(self, waiting: Sequence[tuple[int, av.VideoFrame]]) -> list[av.VideoFrame]:
        """These frames, restored; one in which nothing changed is the frame that it was."""
        frames = [frame for _, frame in waiting]
        planes = [planes_of(frame) for frame in frames]
        before = [pixels_of(values, coding_of(frame)) for values, frame in zip(planes, frames, strict=True)]
        images = [
            Image(
                pixels,
                origin=self.key,
                faces=self.plan.known(number, self.key),
                decided=self.plan.pictures[self.plan.shot_of(number)] if self.plan.pictures else {},
            )
            for (number, _), pixels in zip(waiting, before, strict=True)
        ]
        out = []
        results = self.session.run(images)
        for (number, frame), values, image, result in zip(waiting, planes, images, results, strict=True):
            try:
                after = result.image.pixels
            except OdekitError as error:
                self.failed.append({"frame": number, "reason": str(error)})
                after = image.pixels
            if after.shape != image.pixels.shape:
                raise ConfigError(
                    f"the chain makes {after.shape[2]}x{after.shape[1]} of {image.width}x{image.height}; a video "
                    "keeps its size: set faces.background and faces.paste.upscale"
                )
            if np.array_equal(after, image.pixels):
                out.append(frame)
            else:
                out.append(frame_of(changed_planes(values, coding_of(frame), image.pixels, after), frame))
        return out
