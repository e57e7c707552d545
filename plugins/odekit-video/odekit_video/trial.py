"""One frame through encoder and container, so that what they refuse is known before the work and not after it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import ConfigError, OdekitError
from odekit_video.colour import upright
from odekit_video.encode import CONTAINERS, Encoding, SegmentWriter
from odekit_video.formats import format_losses, is_rgb, set_tags, tag_losses
from odekit_video.read import VideoInfo, frames_from, import_av, opened

if TYPE_CHECKING:
    import av


def try_encoder(source: Path, encoding: Encoding, info: VideoInfo, suffix: str, folder: Path) -> list[str]:
    """Encode the first frame of the video, and put it into such a file; a sentence for each thing that gets lost.

    Args:
        source: the video.
        encoding: how.
        info: of the video.
        suffix: ending of the output.
        folder: where a small file may be written.

    Raises:
        ConfigError: it cannot be done.
    """
    stored = next(frames_from(source, None))
    frame = upright(stored, info.turns)
    try:
        name, written = encoded(frame, encoding, suffix, folder / "trial")
    except (OdekitError, OSError, ValueError) as error:
        size = f"frames of {info.width}x{info.height}"
        raise ConfigError(
            f"--codec {encoding.codec}: {size} cannot be written to {suffix} with it ({error})"
        ) from error
    finally:
        (folder / "trial").unlink(missing_ok=True)
    notes = format_losses(encoding.codec, stored, name)
    if written is not None and not is_rgb(stored.format) and not is_rgb(written.format):
        notes += tag_losses(encoding.codec, suffix, frame, written)
    return notes


def encoded(frame: av.VideoFrame, encoding: Encoding, suffix: str, file: Path) -> tuple[str, av.VideoFrame | None]:
    """The pixel format in which a frame is encoded, and the frame as such a file gives it; None if it gives none."""
    av = import_av()
    writer = SegmentWriter(file, encoding, frame, frame.pts or 0)
    writer.add(frame)
    writer.close()
    data = io.BytesIO()
    with opened(file) as segment, av.open(data, "w", format=CONTAINERS[suffix]) as target:
        stream = video_from(segment, target, encoding.tags)
        target.start_encoding()
        for packet in segment.demux(segment.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    data.seek(0)
    try:
        with av.open(data) as target:
            return writer.format, next(target.decode(video=0), None)
    except (OSError, ValueError):
        return writer.format, None


def video_from(segment: Any, target: Any, tags: Mapping[str, int]) -> Any:
    """The video stream of an output, like that of a segment, with colour tags that the segment may not hold."""
    template = segment.streams.video[0]
    try:
        stream = target.add_stream_from_template(template)
    except ValueError:  # FFmpeg's decoder of AV1 has another name than its encoders
        stream = target.add_stream_from_template(template, opaque=True)
    set_tags(stream.codec_context, tags, template.codec_context.pix_fmt)
    return stream
