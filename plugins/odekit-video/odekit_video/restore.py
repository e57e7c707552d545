"""The second pass: the chain on every frame, segment by segment; finished segments are kept."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.chains.session import Session
from odekit.core.files import write_atomic
from odekit.core.image import Image, Pixels
from odekit.errors import ConfigError, InputError, OdekitError
from odekit_video.colour import Planes, changed_planes, coding_of, frame_of, pixels_of, planes_of, upright
from odekit_video.encode import Encoding, SegmentWriter
from odekit_video.find import Tell
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, frames_at
from odekit_video.threads import map_ahead

if TYPE_CHECKING:
    import av

SEGMENT = 120
"""Frames of a segment: what an interrupted run does again at most."""
BATCH = 8
"""Frames in progress at once: their faces share network calls."""


@dataclass(frozen=True)
class SourceFrame:
    """A frame of the video, upright, in the forms that are needed of it."""

    number: int
    frame: av.VideoFrame
    planes: Planes
    image: Image


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
        """Frames are read ahead, and written while the chain is at the next ones."""
        half, self.failed = file.with_suffix(".part"), []
        stamps = {pts: number for number, pts in enumerate(self.plan.pts[start:end], start)}
        frames = ((stamps.pop(frame.pts or 0), frame) for frame in frames_at(self.path, list(stamps)))
        writer: SegmentWriter | None = None
        done = 0
        with ThreadPoolExecutor(1) as pool:
            written: Future[None] | None = None
            for batch in batches(map_ahead(self._source, frames, 1, BATCH), BATCH):
                restored = self._restored(batch)
                if written is not None:
                    written.result()
                writer = writer or SegmentWriter(half, self.encoding, batch[0].frame, self.plan.pts[start])
                written = pool.submit(write, writer, restored)
                done += len(batch)
                self.tell("restoring", start - self.first + done, len(self.plan.pts) - self.first)
            if written is not None:
                written.result()
        if writer is None or stamps:
            raise InputError(f"{self.path}: frame {min(stamps.values(), default=start)} cannot be decoded again")
        writer.close()
        write_atomic(json.dumps(self.failed).encode(), file.with_suffix(".json"))
        half.replace(file)

    def _source(self, numbered_frame: tuple[int, av.VideoFrame]) -> SourceFrame:
        """A frame as the chain takes it."""
        number, frame = numbered_frame
        frame = upright(frame, self.info.turns)
        planes = planes_of(frame)
        image = Image(
            pixels_of(planes, coding_of(frame)),
            origin=self.key,
            faces=self.plan.known(number, self.key),
            decided=self.plan.pictures[self.plan.shot_of(number)] if self.plan.pictures else {},
        )
        return SourceFrame(number, frame, planes, image)

    def _restored(self, batch: Sequence[SourceFrame]) -> list[tuple[SourceFrame, Pixels]]:
        """These frames with their restored pixels."""
        out = []
        for source, result in zip(batch, self.session.run([source.image for source in batch]), strict=True):
            before = source.image
            try:
                after = result.image.pixels
            except OdekitError as error:
                self.failed.append({"frame": source.number, "reason": str(error)})
                after = before.pixels
            if after.shape != before.pixels.shape:
                raise ConfigError(
                    f"the chain makes {after.shape[2]}x{after.shape[1]} of {before.width}x{before.height}; a video "
                    "keeps its size: set faces.background and faces.paste.upscale"
                )
            out.append((source, after))
        return out


def write(writer: SegmentWriter, restored: Sequence[tuple[SourceFrame, Pixels]]) -> None:
    """Encode restored frames; one in which nothing changed is the frame that it was."""
    for source, after in restored:
        frame, before = source.frame, source.image.pixels
        if not np.array_equal(after, before):
            frame = frame_of(changed_planes(source.planes, coding_of(frame), before, after), frame)
        writer.add(frame)


def batches(items: Iterable[SourceFrame], size: int) -> Iterator[list[SourceFrame]]:
    """Lists of this length; the last one may be shorter."""
    rest = iter(items)
    while batch := list(itertools.islice(rest, size)):
        yield batch
