"""The second pass: the chain on every frame, segment by segment; finished segments are kept."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odekit.core.files import write_atomic
from odekit.core.image import Image, Pixels
from odekit.errors import ConfigError, InputError, OdekitError
from odekit_video.average import REACH, FacePatch, averaged, patches_of
from odekit_video.colour import Planes, changed_planes, coding_of, frame_of, pixels_of, planes_of, upright
from odekit_video.encode import Encoding, SegmentWriter
from odekit_video.find import Tell
from odekit_video.hidden import with_visible
from odekit_video.plan import Plan
from odekit_video.read import VideoInfo, frames_at
from odekit_video.sessions import Sessions
from odekit_video.threads import batches, map_ahead, threads_shared

if TYPE_CHECKING:
    import av

SEGMENT = 120
"""Frames of a segment: what an interrupted run does again at most."""
Near = dict[int, dict[str, FacePatch]]
"""Faces of some frames, by number and track."""


@dataclass(frozen=True)
class SourceFrame:
    """A frame of the video, upright, in the forms that are needed of it."""

    number: int
    frame: av.VideoFrame
    planes: Planes
    image: Image
    patches: dict[str, FacePatch]
    """Surroundings of the faces that may be treated, by track."""


@dataclass(frozen=True)
class Restored:
    """A frame and what the chain made of it."""

    source: SourceFrame
    pixels: Pixels
    failure: str = ""
    """Why the chain could not restore it; it stays as it was."""


@dataclass
class Restorer:
    """Runs a chain on the frames of a video."""

    path: Path
    info: VideoInfo
    plan: Plan
    sessions: Sessions
    key: str
    encoding: Encoding
    tell: Tell
    first: int = 0
    """Number of the first frame that is restored and written."""

    def segments(self) -> list[tuple[int, int]]:
        """First and last frame (exclusive) of each segment."""
        count = len(self.plan.pts)
        return [(start, min(start + SEGMENT, count)) for start in range(self.first, count, SEGMENT)]

    def run(self, folder: Path) -> list[Path]:
        """Restore all segments that are not in the folder yet; returns the files of all."""
        files = []
        with threads_shared(self.sessions.workers.count):
            for start, end in self.segments():
                file = folder / f"segment-{start:07d}.{self.encoding.container}"
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
        half, failed = file.with_suffix(".part"), list[dict[str, Any]]()
        workers = self.sessions.workers
        frames, missing = self._frames(start, end)
        ready = batches(self._averaged(map_ahead(self._source, frames, 1), start, end), workers.batch)
        writer: SegmentWriter | None = None
        done = 0
        with ThreadPoolExecutor(1) as pool:
            written: Future[None] | None = None
            for batch in map_ahead(self._restored, ready, workers.count, abandon=self.sessions.abandoned.set):
                failed += [{"frame": one.source.number, "reason": one.failure} for one in batch if one.failure]
                if written is not None:
                    written.result()
                writer = writer or SegmentWriter(half, self.encoding, batch[0].source.frame, self.plan.pts[start])
                written = pool.submit(write, writer, batch)
                done += len(batch)
                self.tell("restoring", start - self.first + done, len(self.plan.pts) - self.first)
            if written is not None:
                written.result()
        if writer is None or missing:
            raise InputError(f"{self.path}: frame {min(missing.values(), default=start)} cannot be decoded again")
        writer.close()
        write_atomic(json.dumps(failed).encode(), file.with_suffix(".json"))
        half.replace(file)

    def _frames(self, start: int, end: int) -> tuple[Iterator[tuple[int, av.VideoFrame]], dict[int, int]]:
        """The frames of a segment and those near it, with their numbers; time stamps that were not met yet."""
        span = range(max(self.first, start - REACH), min(end + REACH, len(self.plan.pts)))
        missing = {self.plan.pts[number]: number for number in span}
        return ((missing.pop(frame.pts or 0), frame) for frame in frames_at(self.path, list(missing))), missing

    def _source(self, numbered_frame: tuple[int, av.VideoFrame]) -> SourceFrame:
        """A frame as the chain takes it."""
        number, frame = numbered_frame
        frame = upright(frame, self.info.turns)
        planes, faces, shot = planes_of(frame), self.plan.known(number, self.key), self.plan.shot_of(number)
        image = Image(
            pixels_of(planes, coding_of(frame)),
            origin=self.key,
            faces=faces,
            decided=self.plan.pictures[shot] if self.plan.pictures else {},
            quality=self.plan.qualities[shot] if self.plan.qualities else 0,
        )
        return SourceFrame(
            number, frame, planes, image, patches_of(image.pixels, faces, self.plan.hidden(number, self.key))
        )

    def _averaged(self, sources: Iterable[SourceFrame], start: int, end: int) -> Iterator[tuple[SourceFrame, Near]]:
        """The frames from `start` to `end`, with the faces of those near them. Each waits for the `REACH` after it."""
        waiting: deque[SourceFrame] = deque()
        known: Near = {}

        def ready(source: SourceFrame) -> tuple[SourceFrame, Near]:
            return source, {n: patches for n, patches in known.items() if abs(n - source.number) <= REACH}

        for source in sources:
            known[source.number] = source.patches
            known.pop(source.number - 2 * REACH - 1, None)
            if start <= source.number < end:
                waiting.append(source)
            while waiting and waiting[0].number + REACH <= source.number:
                yield ready(waiting.popleft())
        while waiting:
            yield ready(waiting.popleft())

    def _restored(self, batch: Sequence[tuple[SourceFrame, Near]]) -> list[Restored]:
        """These frames after the chain."""
        images = []
        for source, near in batch:
            faces = with_visible(source.image.faces or (), source.number, near)
            pixels = averaged(source.image.pixels, source.number, near, faces)
            images.append(replace(source.image, pixels=pixels, faces=faces))
        with self.sessions.one() as session:
            results = session.run(images)
        out = []
        for (source, _), result in zip(batch, results, strict=True):
            before, failure = source.image, ""
            try:
                after = result.image.pixels
            except OdekitError as error:
                after, failure = before.pixels, str(error)
            if after.shape != before.pixels.shape:
                raise ConfigError(
                    f"the chain makes {after.shape[2]}x{after.shape[1]} of {before.width}x{before.height}; a video "
                    "keeps its size: set faces.background and faces.paste.upscale"
                )
            out.append(Restored(source, after, failure))
        return out


def write(writer: SegmentWriter, restored: Sequence[Restored]) -> None:
    """Encode restored frames; one in which nothing changed is the frame that it was."""
    for one in restored:
        source, after = one.source, one.pixels
        frame, before = source.frame, source.image.pixels
        if not np.array_equal(after, before):
            frame = frame_of(changed_planes(source.planes, coding_of(frame), before, after), frame)
        writer.add(frame)
