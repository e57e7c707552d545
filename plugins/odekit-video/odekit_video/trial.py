"""One frame through encoder and container, so that what they refuse is known before the work and not after it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from odekit.errors import ConfigError, OdekitError
from odekit_video.encode import CONTAINERS, Encoding, SegmentWriter
from odekit_video.read import VideoInfo, import_av, opened


def try_encoder(encoding: Encoding, info: VideoInfo, suffix: str, folder: Path) -> None:
    """Encode a grey frame of the size of the video, and put it into such a file.

    Args:
        encoding: how.
        info: of the video.
        suffix: ending of the output.
        folder: where a small file may be written.

    Raises:
        ConfigError: it cannot be done.
    """
    av = import_av()
    file = folder / "trial"
    frame = av.VideoFrame(info.width, info.height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    frame.pts, frame.time_base = 0, encoding.time_base
    try:
        writer = SegmentWriter(file, encoding, frame, 0)
        writer.add(frame)
        writer.close()
        with opened(file) as segment, av.open(io.BytesIO(), "w", format=CONTAINERS[suffix]) as target:
            stream = video_from(segment, target)
            target.start_encoding()
            for packet in segment.demux(segment.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    except (OdekitError, OSError, ValueError) as error:
        size = f"frames of {info.width}x{info.height}"
        raise ConfigError(
            f"--codec {encoding.codec}: {size} cannot be written to {suffix} with it ({error})"
        ) from error
    finally:
        file.unlink(missing_ok=True)


def video_from(segment: Any, target: Any) -> Any:
    """The video stream of an output, like that of a segment."""
    template = segment.streams.video[0]
    try:
        return target.add_stream_from_template(template)
    except ValueError:  # FFmpeg's decoder of AV1 has another name than its encoders
        return target.add_stream_from_template(template, opaque=True)
