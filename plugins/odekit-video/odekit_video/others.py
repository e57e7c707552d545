"""The streams beside the video: sound and subtitles, packet by packet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from odekit_video.extras import Span, describe

COPIED = ("audio", "subtitle")
"""Types of streams that are copied."""
EMPTY_TEXT = bytes(2)
"""What ends a subtitle in MP4; it is written again with the copy."""


def copied_streams(original: Any, target: Any) -> dict[int, Any]:
    """The output's streams for those that it can hold, by the index of the stream that they are copied from."""
    out: dict[int, Any] = {}
    for stream in original.streams:
        if stream.type not in COPIED or stream.codec_context is None:
            continue
        if stream.codec_context.name not in target.supported_codecs:
            continue
        try:
            new = target.add_stream_from_template(stream)
        except (ValueError, OSError):
            continue
        describe(stream, new)
        out[stream.index] = new
    return out


def other_packets(original: Any, copied: Mapping[int, Any], span: Span) -> Iterator[Any]:
    """The packets of the copied streams, within the span; a subtitle that is shown over its border is clipped to it."""
    if not copied:
        return
    begin, end = span
    latest: dict[int, int] = {}
    for packet in original.demux([original.streams[index] for index in copied]):
        if packet.pts is None or packet.dts is None:
            continue
        if packet.stream.type == "subtitle":
            if not packet.duration and bytes(packet) == EMPTY_TEXT:
                continue
            clip(packet, span)
        base = Fraction(packet.time_base)
        time = packet.pts * base
        if (begin and time < begin) or (end is not None and time >= end):
            continue
        shift, index = round(begin / base), packet.stream_index
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        if packet.stream.type == "subtitle" and index in latest and packet.dts <= latest[index]:
            packet.dts = latest[index] + 1  # several began before the span, and now at once
            packet.pts = max(packet.pts, packet.dts)
        latest[index] = packet.dts
        packet.stream = copied[index]
        yield packet


def clip(packet: Any, span: Span) -> None:
    """Let a subtitle begin and end within a span, if it is shown there. One without a duration ends with the next."""
    base = Fraction(packet.time_base)
    begin = -int(-span[0] / base // 1)
    end = None if span[1] is None else int(span[1] / base)
    finish = packet.pts + (packet.duration or 0)
    if span[0] and packet.pts < begin < finish:
        packet.pts = packet.dts = begin
        packet.duration = finish - begin
    if end is not None and packet.pts < end < finish:
        packet.duration = end - packet.pts
