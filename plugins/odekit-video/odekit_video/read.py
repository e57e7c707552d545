"""Read a video: what it is, and its frames in order of presentation."""

from __future__ import annotations

import contextlib
import math
import re
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import InputError, PluginError
from odekit_video.colour import upright
from odekit_video.formats import tags_of

if TYPE_CHECKING:
    import av

MAX_PIXELS = 8192 * 4320
"""Largest number of pixels of a frame: 8K."""

FASTEST = 480
"""Frames a second at most; a file that states more means the unit of its times, and no encoder takes it."""

EARLIER = (0.0, 2.0, 10.0, 60.0, None)
"""Seconds before a frame from which it is decoded where it was not found; None: from the start."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video's first video stream is."""

    width: int
    """Of the upright frames, in pixels."""
    height: int
    turns: int
    """Quarter turns, counter-clockwise, that make the stored frames upright; from 4 on, mirrored left to right then."""
    time_base: Fraction
    rate: Fraction
    """Mean number of frames a second."""
    frames: int
    """What the file says, 0 if it does not."""
    codec: str
    transfer: int
    """Code of the transfer function (ITU-T H.273, table 3)."""
    aspect: Fraction
    """Width over height of an upright pixel."""
    seconds: float = 0.0
    """How long the file says that its video is, 0 if it does not."""
    tags: Mapping[str, int] = field(default_factory=dict)
    """Codes of the colours of upright frames, see `formats.TAGS`."""


def import_av() -> Any:
    """PyAV. Raises PluginError where it is not installed."""
    try:
        import av
    except ImportError as error:
        raise PluginError(f"PyAV cannot be loaded ({error}); pip install av") from error
    return av


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The container of a video file.

    Raises:
        InputError: it cannot be read, or is no video.
    """
    av = import_av()
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: not a video that can be read ({reason})") from error
    with container:
        yield container


def video_stream(container: Any, path: Path) -> Any:
    """The first video stream that is no cover picture.

    Raises:
        InputError: there is none, its codec is unknown, or its frames are too large.
    """
    av = import_av()
    covers = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        raise InputError(f"{path}: there is no video in it")
    if container.format.name == "image2" or container.format.name.endswith("_pipe"):
        raise InputError(f"{path}: a picture, not a video; use odekit run")
    stream = streams[0]
    if stream.codec_context is None or not stream.width or not stream.height:
        raise InputError(f"{path}: its video has an unknown codec or no size")
    if stream.width * stream.height > MAX_PIXELS:
        raise InputError(f"{path}: frames of {stream.width}x{stream.height} are larger than 8192x4320")
    stream.thread_type = "AUTO"
    return stream


def probe(path: Path) -> VideoInfo:
    """What a video is.

    Raises:
        InputError: not a video, without frames, or too large.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        first = next(iter(decoded(container, stream, [])), None)
        if first is None:
            raise InputError(f"{path}: no frame of its video can be decoded")
        turns = turns_of(first)
        width, height = (first.width, first.height) if turns % 2 == 0 else (first.height, first.width)
        aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1) or Fraction(1)
        stated = (stream.average_rate, stream.guessed_rate)
        rate = next((one for one in stated if one and one <= FASTEST), Fraction(25))
        return VideoInfo(
            width, height, turns, Fraction(stream.time_base), Fraction(rate), int(stream.frames or 0),
            stream.codec_context.name, int(stream.codec_context.color_trc or 0),
            1 / aspect if turns % 2 else aspect, seconds_of(container, stream), tags_of(upright(first, turns)),
        )  # fmt: skip


def turns_of(frame: av.VideoFrame) -> int:
    """How a frame is to be shown, in the numbers of `VideoInfo.turns`.

    Other angles are rounded.
    """
    angle, mirrored = angle_of(frame)
    return round(angle / 90) % 4 + 4 * mirrored


def angle_of(frame: av.VideoFrame) -> tuple[float, bool]:
    """By how many degrees a frame is to be turned counter-clockwise, and whether it is mirrored left to right then.

    Its display matrix tells where a step to the right (a, b) and a step down (c, d) of the stored frame lead to.
    """
    matrix = carried(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return float(frame.rotation), False
    a, b, _, c, d = (int(value) for value in struct.unpack_from("=5i", matrix))
    mirrored = a * d - b * c < 0
    return math.degrees(math.atan2(-b, -a if mirrored else a)), mirrored


def carried(frame: av.VideoFrame) -> dict[str, bytes]:
    """What a frame carries beside its pixels, by PyAV's names; nothing where some of it is of a kind without a name."""
    try:
        return {data.type.name: bytes(data) for data in frame.side_data}
    except ValueError:
        return {}


def seconds_of(container: Any, stream: Any) -> float:
    """How long a file says that a stream is, in seconds; 0 if it does not."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska: 00:01:02.345
    if tag:
        return 3600 * float(tag[1]) + 60 * float(tag[2]) + float(tag[3])
    return float(container.duration or 0) / 1e6 if len(container.streams) == 1 else 0.0


def decoded(container: Any, stream: Any, damaged: list[str]) -> Iterator[av.VideoFrame]:
    """The frames of a stream that can be decoded; for each packet that cannot, the reason is added to `damaged`."""
    av = import_av()
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            damaged.append(str(error.strerror or error))
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            damaged.append(str(error.strerror or error))
            continue
        for frame in frames:
            if frame.pts is not None:
                yield frame


def frames_from(path: Path, start: int | None, before: float = 0.0) -> Iterator[av.VideoFrame]:
    """The frames of a video from the one with the time stamp `start` on; None: all.

    Decoding begins `before` seconds earlier at least, or at the start of the file.

    Raises:
        InputError: see `opened` and `video_stream`.
    """
    sought = False
    if start is not None:
        with opened(path) as container:
            stream = video_stream(container, path)
            place = place_before(container, stream, start, before)
            if place is not None:
                sought = True
                container.seek(place, stream=stream, backward=True)
                yield from later(decoded(container, stream, []), start)
    if not sought:
        with opened(path) as container:
            yield from later(decoded(container, video_stream(container, path), []), start)


def place_before(container: Any, stream: Any, start: int, before: float) -> int | None:
    """A time stamp to seek to, behind which a frame up to `start` can be decoded alone; None: the start of the file.

    MPEG-TS and -PS have no index: a seek ends at the packet of that time, and the next frame that can be decoded alone
    may be seconds later.
    """
    av = import_av()
    back, first = before, int(stream.start_time or 0)
    while (place := start - int(back / stream.time_base)) > first:
        try:
            container.seek(place, stream=stream, backward=True)
            key = next((packet for packet in container.demux(stream) if packet.size and packet.is_keyframe), None)
        except av.error.FFmpegError:
            key = None
        if key is not None and key.pts is not None and key.pts <= start:
            return place
        back = max(1.0, 2 * back)
    return None


def later(frames: Iterable[av.VideoFrame], start: int | None) -> Iterator[av.VideoFrame]:
    """Frames from the time stamp `start` on; None: all."""
    for frame in frames:
        if start is None or (frame.pts is not None and frame.pts >= start):
            yield frame


def frames_at(path: Path, stamps: Sequence[int]) -> Iterator[av.VideoFrame]:
    """The frames with these time stamps, which rise; those that cannot be decoded are left out.

    A damaged video may decode to fewer frames from the middle than from its start. Where one is missing, it is read
    from earlier places, and at last from its start.
    """
    wanted = deque(stamps)
    for before in EARLIER:
        start = None if before is None else stamps[0]
        for frame in until(frames_from(path, start, before or 0.0), stamps[-1]):
            assert frame.pts is not None
            if wanted[0] < frame.pts and start is not None:
                break
            while wanted and wanted[0] < frame.pts:
                wanted.popleft()
            if wanted and wanted[0] == frame.pts:
                yield frame
                wanted.popleft()
            if not wanted:
                return


def until(frames: Iterable[av.VideoFrame], last: int) -> Iterator[av.VideoFrame]:
    """Frames up to the one with the time stamp `last`."""
    for frame in frames:
        yield frame
        if frame.pts is not None and frame.pts >= last:
            return
