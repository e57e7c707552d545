"""Encode restored frames, one file a segment, with the time stamps and colour tags of the original."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import ConfigError, OutputError
from odekit_video.quality import counts_frames, quality_options, steady_rate
from odekit_video.read import VideoInfo, import_av

if TYPE_CHECKING:
    import av

CODECS = {".mp4": "libx264", ".m4v": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}
"""Encoder by the ending of the output."""
CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""FFmpeg's format by the ending of the output."""
OPTIONS = {
    "libx264": {"preset": "medium"}, "libx265": {"preset": "medium"}, "libvpx-vp9": {"b": "0", "row-mt": "1"},
    "libvpx": {"b": "1000M"},
}  # fmt: skip
"""Options of the encoders beside the quality. VP8 keeps to a bit rate, which is that of a small film by default."""
FULL_RANGE = {"mjpeg": {"yuv420p": "yuvj420p", "yuv422p": "yuvj422p", "yuv444p": "yuvj444p"}}
"""Formats of encoders whose pictures are of full range, by those of limited range."""
JPEG_RANGE = 2
"""FFmpeg's code of full range."""
SEGMENT_FORMAT = "nut"
"""Container of the segments: it keeps any time base."""


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

    @classmethod
    def of(cls, codec: str, quality: int, info: VideoInfo) -> Encoding:
        """For an encoder and a video."""
        if counts_frames(codec):
            rate = steady_rate(codec, info.rate)
            return cls(codec, quality, 1 / rate, rate, True, info.aspect)
        return cls(codec, quality, info.time_base, info.rate, False, info.aspect)


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
    for container in (CONTAINERS[output.suffix.lower()], SEGMENT_FORMAT):
        with av.open(io.BytesIO(), "w", format=container) as file:
            if found.canonical_name not in file.supported_codecs:
                raise ConfigError(
                    f"--codec {name}: {container} files cannot hold it; the default is {CODECS[output.suffix.lower()]}"
                )
    return name


def pixel_format(codec: Any, frame: av.VideoFrame) -> str:
    """The frame's own pixel format where the encoder takes it, else the nearest of 4:4:4 or 4:2:0.

    4:2:0 needs even sides, so frames of odd sides become 4:4:4. Transparency is not encoded: restored frames have none.
    """
    full = FULL_RANGE.get(codec.name, {})
    taken = [format.name for format in codec.video_formats or () if format.name not in full]
    name = full.get(frame.format.name, frame.format.name)
    deep = "10le" if max(c.bits for c in frame.format.components) > 8 else ""
    odd = frame.width % 2 or frame.height % 2
    halved = frame.format.chroma_width(frame.width) < frame.width
    alpha = any(component.is_alpha for component in frame.format.components)
    if name in taken and not (odd and halved) and not alpha:
        return str(name)
    order = ["yuv444p", "yuv420p"] if odd or not halved else ["yuv420p", "yuv444p"]
    order = [full.get(n, n) for n in order]
    return next(
        (n + deep for n in order if n + deep in taken), next((n for n in order if n in taken), (taken or [name])[0])
    )


class SegmentWriter:
    """Writes the frames of one segment. Time stamps begin with 0; `Assembly` moves them."""

    def __init__(self, path: Path, encoding: Encoding, like: av.VideoFrame, first: int) -> None:
        """Begin a file for frames like `like`, whose first time stamp is `first`.

        Raises:
            OutputError: the file or the encoder cannot be opened.
        """
        av = import_av()
        self.first = first
        try:
            self.container = av.open(str(path), "w", format=SEGMENT_FORMAT)
            codec = av.Codec(encoding.codec, "w")
            options = OPTIONS.get(encoding.codec, {}) | quality_options(encoding.codec, encoding.quality)
            stream: Any = self.container.add_stream(encoding.codec, rate=encoding.rate, options=options)
        except (OSError, ValueError) as error:
            raise OutputError(f"{path}: cannot be encoded ({error})") from error
        self.format = pixel_format(codec, like)
        stream.width, stream.height, stream.pix_fmt = like.width, like.height, self.format
        context = stream.codec_context
        context.time_base = stream.time_base = encoding.time_base
        context.colorspace, context.color_range = like.colorspace, like.color_range
        if self.format.startswith("yuvj"):
            context.color_range = JPEG_RANGE
        context.color_primaries, context.color_trc = like.color_primaries, like.color_trc
        context.sample_aspect_ratio = encoding.aspect
        context.flags |= av.codec.context.Flags.global_header
        self.stream, self.codec = stream, encoding.codec
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
        self._encode(frame)

    def close(self) -> None:
        """Finish the file."""
        self._encode(None)
        self.container.close()

    def _encode(self, frame: av.VideoFrame | None) -> None:
        try:
            packets = self.stream.encode(frame)
        except (OSError, ValueError) as error:
            raise OutputError(f"--codec {self.codec}: it cannot encode these frames ({error})") from error
        try:
            for packet in packets:
                self.container.mux(packet)
        except OSError as error:
            raise OutputError(f"the segment cannot be written ({error})") from error
