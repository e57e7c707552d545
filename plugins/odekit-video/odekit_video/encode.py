"""Encode restored frames, one file a segment, with the time stamps and colour tags of the original."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import ConfigError, OutputError
from odekit_video.formats import pixel_format, set_tags
from odekit_video.quality import counts_frames, quality_options, steady_rate
from odekit_video.read import VideoInfo, import_av
from odekit_video.scheduling import without_real_time

if TYPE_CHECKING:
    import av

CODECS = {".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}
"""Encoder by the ending of the output."""
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's format by the ending of the output."""
OPTIONS = {
    "libx264": {"preset": "medium"}, "libx265": {"preset": "medium", "x265-params": "log-level=error"},
    "libvpx-vp9": {"b": "0", "row-mt": "1"}, "libvpx": {"b": "1000M"},
}  # fmt: skip
"""Options of the encoders beside the quality; libx265 has a log of its own. VP8 keeps to a bit rate, which is that of a
small film by default.
"""
DNXHR = {
    "yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx", "yuv444p10le": "dnxhr_444", "gbrp10le": "dnxhr_444",
}  # fmt: skip
"""Profiles of DNxHR by pixel format; DNxHD itself knows few sizes only."""
REORDERED = 3
"""Fewest frames whose order an encoder changes. x265 sets no decode times for fewer: they are what its memory held."""
SEGMENT_FORMATS = ("nut", "mov")
"""Containers of the segments, in order: the first keeps any time base, and the other one holds some codecs that it does
not.
"""


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded."""

    codec: str
    quality: int
    """Constant rate factor: lower is better and larger."""
    time_base: Fraction
    rate: Fraction
    counted: bool = False
    """Whether the encoder is given frames at this steady rate, without their time stamps."""
    aspect: Fraction = Fraction(1)
    """Width over height of a pixel."""
    tags: Mapping[str, int] = field(default_factory=dict)
    """Codes of the colours, see `formats.TAGS`."""

    @property
    def container(self) -> str:
        """FFmpeg's format of the segments, and the ending of their files."""
        return next(container for container in SEGMENT_FORMATS if holds(container, self.codec))

    @classmethod
    def of(cls, codec: str, quality: int, info: VideoInfo) -> Encoding:
        """For an encoder and a video."""
        if counts_frames(codec):
            rate = steady_rate(codec, info.rate)
            return cls(codec, quality, 1 / rate, rate, True, info.aspect, info.tags)
        return cls(codec, quality, info.time_base, info.rate, False, info.aspect, info.tags)


def codec_for(output: Path, codec: str | None) -> str:
    """The encoder for an output file.

    Raises:
        ConfigError: an unknown ending, or PyAV's FFmpeg has no such encoder, or none for such a file.
    """
    av = import_av()
    if output.suffix.lower() not in CODECS:
        raise ConfigError(f"{output}: choose an output that ends with {', '.join(CODECS)}")
    name = codec or CODECS[output.suffix.lower()]
    try:
        found: Any = av.Codec(name, "w")
    except (ValueError, av.error.FFmpegError) as error:
        raise ConfigError(f"--codec {name}: the FFmpeg of PyAV cannot encode it") from error
    if found.type != "video":
        raise ConfigError(f"--codec {name}: encodes {found.type}, not video")
    container, usual = CONTAINERS[output.suffix.lower()], CODECS[output.suffix.lower()]
    if not holds(container, name):
        raise ConfigError(f"--codec {name}: {container} files cannot hold it; the default is {usual}")
    if not any(holds(segments, name) for segments in SEGMENT_FORMATS):
        raise ConfigError(f"--codec {name}: its frames cannot be kept in parts until the end; the default is {usual}")
    return name


def holds(container: str, codec: str) -> bool:
    """Whether files of a format can hold what an encoder makes."""
    av = import_av()
    with av.open(io.BytesIO(), "w", format=container) as file:
        return av.Codec(codec, "w").canonical_name in file.supported_codecs


def reason(error: Exception) -> str:
    """What an error of FFmpeg says, without the call that failed."""
    return str(getattr(error, "strerror", None) or error)


class SegmentWriter:
    """Writes the frames of one segment. Time stamps begin with 0; `Assembly` moves them."""

    def __init__(self, path: Path, encoding: Encoding, like: av.VideoFrame, first: int) -> None:
        """Begin a file for frames like `like`, whose first time stamp is `first`.

        Raises:
            OutputError: the file or the encoder cannot be opened.
        """
        av = import_av()
        os.environ.setdefault("SVT_LOG", "1")  # libsvtav1 has a log of its own: errors only
        self.first = first
        try:
            self.container = av.open(str(path), "w", format=encoding.container)
            self.format = pixel_format(av.Codec(encoding.codec, "w"), like)
            options = OPTIONS.get(encoding.codec, {}) | quality_options(encoding.codec, encoding.quality)
            if encoding.codec == "dnxhd":
                options |= {"profile": DNXHR[self.format]}
            stream: Any = self.container.add_stream(encoding.codec, rate=encoding.rate, options=options)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: cannot be encoded ({error})") from error
        stream.width, stream.height, stream.pix_fmt = like.width, like.height, self.format
        context = stream.codec_context
        context.time_base = stream.time_base = encoding.time_base
        set_tags(context, encoding.tags, self.format)
        context.sample_aspect_ratio = encoding.aspect
        context.flags |= av.codec.context.Flags.global_header
        self.stream, self.codec, self.frames = stream, encoding.codec, 0
        self.counted: int | None = 0 if encoding.counted else None

    def add(self, frame: av.VideoFrame) -> None:
        """Encode the next frame. Raises OutputError where the disk is full or the encoder refuses."""
        av = import_av()
        pts, base = frame.pts - self.first, frame.time_base
        if self.counted is not None:
            pts, base = self.counted, self.stream.codec_context.time_base
            self.counted += 1
        if frame.format.name != self.format:
            frame = frame.reformat(format=self.format)
        frame.pts, frame.time_base = pts, base
        frame.pict_type = av.video.frame.PictureType.NONE
        self.frames += 1
        self._encode(frame)

    def close(self) -> None:
        """Finish the file."""
        self._encode(None)
        self.container.close()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        opens = self.frames <= 1
        try:
            with without_real_time() if opens else contextlib.nullcontext():
                packets = self.stream.encode(frame)
        except (OSError, ValueError) as error:
            raise OutputError(f"--codec {self.codec}: it cannot encode these frames ({reason(error)})") from error
        try:
            for packet in packets:
                if self.frames < REORDERED and self.codec == "libx265":
                    packet.dts = packet.pts
                self.container.mux(packet)
        except OSError as error:
            raise OutputError(f"the segment cannot be written ({error})") from error
