"""What an input has and its output has not, in one line each."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit_video.extras import covers, tags
from odekit_video.others import COPIED
from odekit_video.read import angle_of, carried, decoded, opened, video_stream

if TYPE_CHECKING:
    import av

FRAMES = 48
"""Frames at the start that are asked for what they carry."""
CARRIED = {
    "MASTERING_DISPLAY_METADATA": "the values of the display that it was graded on",
    "CONTENT_LIGHT_LEVEL": "its light levels",
    "DYNAMIC_HDR_PLUS": "HDR10+",
    "DYNAMIC_HDR_VIVID": "HDR Vivid",
    "DOVI_METADATA": "Dolby Vision",
    "DOVI_RPU_BUFFER": "Dolby Vision",
    "SPHERICAL": "that it is spherical",
    "STEREO3D": "that it is stereoscopic",
    "A53_CC": "closed captions within its frames",
    "ICC_PROFILE": "its colour profile",
}
"""Words for what frames carry beside their pixels and is not encoded again."""
OPAQUE = 255
"""Alpha of what is not transparent."""
UNSAID = ("handler_name", "creation_time")
"""Tags that containers write in their own way."""


def frame_losses(path: Path) -> list[str]:
    """What the frames of a video have that restored ones have not."""
    with opened(path) as container:
        stream = video_stream(container, path)
        alpha = stream.metadata.get("alpha_mode") == "1"
        interlaced, lost, angle = False, dict[str, None](), 0.0
        for frame in itertools.islice(decoded(container, stream, []), FRAMES):
            alpha = alpha or is_transparent(frame)
            angle = angle or angle_of(frame)[0]
            interlaced = interlaced or frame.interlaced_frame
            lost.update({CARRIED[name]: None for name in carried(frame) if name in CARRIED})
    notes = []
    if alpha:
        notes.append("its transparency (alpha) is left out")
    if abs(angle - 90 * round(angle / 90)) > 1:
        notes.append(f"it is to be shown turned by {-angle:.0f} degrees; its frames were turned by quarters only")
    if interlaced:
        notes.append(
            "it is interlaced: its fields stay in the frames, which are no longer marked so; deinterlace first"
        )
    return notes + [f"{words} {'are' if words.endswith('s') else 'is'} left out" for words in lost]


def is_transparent(frame: av.VideoFrame) -> bool:
    """Whether a part of a frame is transparent; decoders of GIF give transparency to all frames, opaque ones too."""
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool((frame.to_ndarray(format="rgba")[..., 3] < OPAQUE).any())


def stream_losses(original: Any, kept: Set[int]) -> list[str]:
    """The streams of a source that are not among those with the indices `kept`."""
    notes = []
    pictures = {stream.index for stream in covers(original)}
    for stream in original.streams:
        if stream.index in kept or written_anew(original, stream):
            continue
        kind = "cover picture" if stream.index in pictures else f"{stream.type} stream"
        name = (getattr(stream.codec_context, "name", None) or stream.name or "").strip()
        why = "does not fit into this file; left out" if stream.type in COPIED else "is left out"
        notes.append(f"the {kind} {stream.index}{f' ({name})' if name else ''} {why}")
    return notes


def written_anew(original: Any, stream: Any) -> bool:
    """Whether a stream of an MP4 or MOV file holds what is copied otherwise: titles of chapters, or a time code."""
    handler = stream.metadata.get("handler_name", "").lower().replace(" ", "")
    chapters = bool(original.chapters()) and ("subtitle" in handler or "text" in handler)
    return stream.type == "data" and (chapters or "timecode" in stream.metadata or "timecode" in handler)


def description_losses(original: Any, output: Path, kept: Mapping[int, int], chapters: int) -> list[str]:
    """Tags, dispositions and chapters that the finished output does not hold.

    Args:
        original: the source.
        output: the finished file.
        kept: indices of the streams in the output, by those in the source.
        chapters: how many chapters there should be.
    """
    notes = []
    with opened(output) as written:
        lost = missing_tags(original.metadata, written.metadata)
        if lost:
            notes.append(f"the tag{'s' * (len(lost) > 1)} {listed(lost)} left out")
        for old, new in kept.items():
            before, after = original.streams[old], written.streams[new]
            flags = [
                str(flag.name) for flag in type(before.disposition) if before.disposition & ~after.disposition & flag
            ]
            words = missing_tags(before.metadata, after.metadata) + flags
            if words:
                notes.append(f"of stream {old}, {listed(words)} left out")
        if len(written.chapters()) < chapters:
            notes.append("the chapters are left out")
    return notes


def listed(words: Sequence[str]) -> str:
    """These words and their verb."""
    return f"{', '.join(words)} {'are' if len(words) > 1 else 'is'}"


def missing_tags(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Tags of a source that are not in a copy; that a language is not defined is no loss."""
    there = {key.lower() for key in tags(after)}
    found = {key.lower(): value for key, value in tags(before).items()}
    return [key for key, value in found.items() if key not in (*there, *UNSAID) and (key, value) != ("language", "und")]
