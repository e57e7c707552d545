"""What a file holds beside its streams' packets, copied: tags, dispositions, chapters, attachments, cover pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from odekit_video.read import import_av

Span = tuple[Fraction, Fraction | None]
"""Times of the source, in seconds, between which the output lies; None: to the end."""
TECHNICAL = re.compile(
    r"major_brand|minor_version|compatible_brands|encoder|encoding_tool|duration(-.*)?|number_of_(frames|bytes)(-.*)?"
    r"|bps(-.*)?|_statistics_.*|rotate|vendor_id|alpha_mode|variant_bitrate|source_id|filename|mimetype|stereo_mode"
)
"""Tags that tell how a file was written, so that they are not true of a copy."""
ATTACHING = (".mkv",)
"""Endings of files that hold attachments, and cover pictures as attachments."""
COVERS = (".mp4", ".m4v")
"""Endings of files that hold cover pictures as streams."""
TIME_CODE = re.compile(r"\d\d:\d\d:\d\d:\d\d")
"""Without dropped numbers, which few rates have."""


def tags(metadata: Mapping[str, str]) -> dict[str, str]:
    """The tags that are true of a copy. MP4 calls the title of a stream its name."""
    kept = {key: value for key, value in metadata.items() if not TECHNICAL.fullmatch(key.lower()) and value}
    if "name" in kept and "title" not in kept:
        kept["title"] = kept.pop("name")
    return kept


def describe(stream: Any, new: Any) -> None:
    """Copy the tags and the disposition of a stream."""
    new.metadata.update(tags(stream.metadata))
    new.disposition = stream.disposition


def describe_video(stream: Any, new: Any, suffix: str, cut: bool) -> None:
    """Copy the tags and the disposition of the video; its time code only where it is still that of the first frame."""
    describe(stream, new)
    code = next((key for key in new.metadata if key.lower() == "timecode"), None)
    if code is not None and (cut or suffix not in (".mov", ".mkv") or not TIME_CODE.fullmatch(new.metadata[code])):
        del new.metadata[code]


def describe_container(original: Any, target: Any, span: Span) -> int:
    """Copy tags and chapters, these as far as they overlap with the span; returns the number of chapters."""
    kept = tags(original.metadata)
    if span[0]:
        kept.pop("timecode", None)
    target.metadata.update(kept)
    chapters = chapters_within(original.chapters(), span)
    if chapters:
        target.set_chapters(chapters)
    return len(chapters)


def chapters_within(chapters: list[dict[str, Any]], span: Span) -> list[dict[str, Any]]:
    """The chapters that overlap with a span, clipped to it; times begin with that of the span."""
    out = []
    for chapter in chapters:
        base = Fraction(chapter["time_base"])
        begin, end = chapter["start"] * base, chapter["end"] * base
        if end <= span[0] or (span[1] is not None and begin >= span[1]):
            continue
        begin, end = max(begin, span[0]), end if span[1] is None else min(end, span[1])
        moved = {"start": round((begin - span[0]) / base), "end": round((end - span[0]) / base)}
        out.append({**chapter, **moved})
    return out


def covers(container: Any) -> list[Any]:
    """Its cover pictures, which are video streams of one packet."""
    flag = import_av().stream.Disposition.attached_pic
    return [stream for stream in container.streams.video if stream.disposition & flag]


def attach(original: Any, target: Any, suffix: str, pictures: Mapping[int, bytes]) -> dict[int, Any]:
    """Copy attachments and cover pictures where the file holds them; new streams by the index of the old.

    Args:
        original: the source.
        target: the output.
        suffix: its ending.
        pictures: the data of the cover pictures, by the index of their streams.
    """
    out: dict[int, Any] = {}
    if suffix in ATTACHING:
        for stream in original.streams:
            if stream.type == "attachment":
                name = stream.metadata.get("filename") or stream.name or f"attachment {stream.index}"
                kind = stream.mimetype or "application/octet-stream"
                out[stream.index] = target.add_attachment(name, kind, bytes(stream.data))
    for stream in covers(original):
        data, kind = pictures.get(stream.index), "png" if stream.codec_context.name == "png" else "jpeg"
        if data is None or stream.codec_context.name not in ("png", "mjpeg"):
            continue
        if suffix in ATTACHING:
            name = stream.metadata.get("filename") or f"cover.{'png' if kind == 'png' else 'jpg'}"
            out[stream.index] = target.add_attachment(name, f"image/{kind}", data)
        elif suffix in COVERS:
            size = {"width": stream.width, "height": stream.height}
            new = target.add_mux_stream(stream.codec_context.name, **size)
            new.disposition, new.time_base = stream.disposition, Fraction(1, 90000)
            out[stream.index] = new
    return out


def picture_data(original: Any) -> dict[int, bytes]:
    """The data of the cover pictures, by the index of their streams; the container has to be read anew after this."""
    wanted = {stream.index for stream in covers(original)}
    out: dict[int, bytes] = {}
    if wanted:
        for packet in original.demux():
            if packet.stream_index in wanted and packet.size:
                out[packet.stream_index] = bytes(packet)
            elif packet.size:
                break  # the pictures come first
    return out


def cover_packets(pictures: Mapping[int, bytes], new: Mapping[int, Any]) -> list[Any]:
    """The packets of the cover pictures that are streams of the output."""
    av = import_av()
    out = []
    for index, data in pictures.items():
        if index in new and new[index].type == "video":
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base = new[index], Fraction(1, 90000)
            packet.pts = packet.dts = 0
            packet.is_keyframe = True
            out.append(packet)
    return out
