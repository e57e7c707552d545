"""Join the segments with the other streams of the input, packet by packet, without encoding them again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from odekit.errors import InputError, OutputError
from odekit_video.encode import CONTAINERS
from odekit_video.read import import_av, opened, video_stream

COPIED = ("audio", "subtitle")
"""Types of streams that are copied."""


def assemble(
    source: Path, segments: Sequence[Path], starts: Sequence[int], time_base: Fraction, rate: Fraction, output: Path,
    span: tuple[int, int | None], before_it_appears: Callable[[], None],
) -> list[str]:  # fmt: skip
    """Write the output, at once or not at all; returns a sentence for each stream that could not be copied.

    Args:
        source: the original video.
        segments: files of the restored segments.
        starts: time stamp of the first frame of each.
        time_base: of these.
        rate: mean number of frames a second, for players that ask the file; the time stamps count.
        output: the file to write.
        span: first time stamp of the output (0: of the source, with all that comes before), and the one after its last
            frame (None: to the end). Packets of other streams outside of it are left out; times begin with 0.
        before_it_appears: called when all is written; what it raises leaves no output.

    Raises:
        OutputError: the output cannot be written.
        InputError: a segment cannot be read.
    """
    av = import_av()
    part = output.with_name(f".{output.name}.part")
    notes: list[str] = []
    try:
        with opened(source) as original, av.open(str(part), "w", format=CONTAINERS[output.suffix.lower()]) as target:
            video_stream(original, source)
            with opened(segments[0]) as first:
                template = first.streams.video[0]
                video = target.add_stream_from_template(template)
                video.time_base, video.codec_context.framerate = time_base, rate
                copied = copied_streams(original, target, notes)
                target.start_encoding()
            packets = merged(
                video_packets(
                    segments, starts, time_base, video, span[0], None if span[1] is None else span[1] - span[0]
                ),
                other_packets(original, copied, time_base, span),
            )
            for packet in packets:
                target.mux(packet)
        before_it_appears()
        part.replace(output)
    except (OSError, ValueError) as error:
        raise OutputError(f"{output}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    return notes


def copied_streams(original: Any, target: Any, notes: list[str]) -> dict[int, Any]:
    """The output's streams for audio and subtitles, by the index of the stream that they are copied from."""
    out: dict[int, Any] = {}
    for stream in original.streams:
        if stream.type not in COPIED:
            continue
        name = getattr(stream.codec_context, "name", None) or "unknown"
        if stream.codec_context is None or name not in target.supported_codecs:
            notes.append(f"the {stream.type} stream {stream.index} ({name}) does not fit into this file; left out")
            continue
        try:
            new = target.add_stream_from_template(stream)
        except (ValueError, OSError) as error:
            notes.append(f"the {stream.type} stream {stream.index} ({name}) is left out: {error}")
            continue
        new.metadata.update(stream.metadata)
        out[stream.index] = new
    return out


def video_packets(
    segments: Sequence[Path], starts: Sequence[int], time_base: Fraction, video: Any, begin: int, end: int | None
) -> Iterator[Any]:
    """The packets of all segments with their time stamps in the output.

    The container of a segment delays all times, so that those of decoding are not negative, and leaves out the first
    of them. Its first packet is its first frame. Decoding times must rise and not follow those of presentation.
    """
    latest: int | None = None
    ends = [*(start - begin for start in starts[1:]), end]
    for path, start, following in zip(segments, starts, ends, strict=True):
        with opened(path) as container:
            packets = [packet for packet in container.demux(container.streams.video[0]) if packet.pts is not None]
        delay, scale = packets[0].pts, Fraction(packets[0].time_base) / time_base
        shown = [round((packet.pts - delay) * scale) + start - begin for packet in packets]
        lengths = durations(shown, following, round((packets[-1].duration or 0) * scale))
        unknown = sum(packet.dts is None for packet in packets)
        for number, (packet, pts) in enumerate(zip(packets, shown, strict=True)):
            known = packet.dts if packet.dts is not None else packets[min(unknown, len(packets) - 1)].dts or delay
            before = max(0, unknown - number) * lengths[min(shown)]
            dts = round((known - delay) * scale) + start - begin - before
            if latest is not None and dts <= latest:
                dts = latest + 1
            if dts > pts:
                raise InputError(f"{path}: its time stamps overlap with those of the segment before")
            latest = dts
            packet.pts, packet.dts, packet.time_base, packet.stream = pts, dts, time_base, video
            packet.duration = lengths[pts]
            yield packet


def durations(shown: Sequence[int], following: int | None, usual: int) -> dict[int, int]:
    """How long each frame is shown: until the next one; the last one until `following`, or as long as the one before.

    Args:
        shown: time stamps of the frames, in any order.
        following: that of the frame after them; None if there is none, or if it is not known.
        usual: for a single frame before nothing.
    """
    order = sorted(shown)
    out = {now: then - now for now, then in itertools.pairwise(order)}
    last = order[-1]
    out[last] = following - last if following is not None and following > last else [usual, *out.values()][-1]
    return {time: max(1, length) for time, length in out.items()}


def other_packets(
    original: Any, copied: dict[int, Any], time_base: Fraction, span: tuple[int, int | None]
) -> Iterator[Any]:
    """The packets of the copied streams, within the span."""
    if not copied:
        return
    begin = Fraction(span[0]) * time_base if span[0] else None
    end = None if span[1] is None else Fraction(span[1]) * time_base
    for packet in original.demux([original.streams[index] for index in copied]):
        if packet.pts is None or packet.dts is None:
            continue
        base = Fraction(packet.time_base)
        time = packet.pts * base
        if (begin is not None and time < begin) or (end is not None and time >= end):
            continue
        shift = 0 if begin is None else round(begin / base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = copied[packet.stream.index]
        yield packet


def merged(*streams: Iterator[Any]) -> Iterator[Any]:
    """Packets of several iterators in order of their decoding times."""
    import heapq

    return heapq.merge(*streams, key=lambda packet: packet.dts * Fraction(packet.time_base))
