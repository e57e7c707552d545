"""Join the segments with the other streams of the input, packet by packet, without encoding them again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from odekit.errors import InputError, OutputError
from odekit_video.encode import CONTAINERS
from odekit_video.extras import attach, cover_packets, describe_container, describe_video, picture_data
from odekit_video.lost import description_losses, stream_losses
from odekit_video.others import copied_streams, other_packets
from odekit_video.read import import_av, opened, video_stream
from odekit_video.trial import video_from


def assemble(
    source: Path, segments: Sequence[Path], times: Sequence[Sequence[int]], counted: bool, time_base: Fraction,
    rate: Fraction, tags: Mapping[str, int], output: Path, span: tuple[int, int | None],
    publish: Callable[[Path], None],
) -> list[str]:  # fmt: skip
    """Write the output, at once or not at all; returns a sentence for each thing of the source that it does not hold.

    Args:
        source: the original video.
        segments: files of the restored segments.
        times: time stamps of the frames of each.
        counted: whether the segments have numbers instead of times; their encoders do not reorder frames.
        time_base: of these.
        rate: mean number of frames a second, for players that ask the file; the time stamps count.
        tags: codes of its colours.
        output: the file to write.
        span: first time stamp of the output (0: of the source, with all that comes before), and the one after its last
            frame (None: to the end). Packets of other streams outside of it are left out; times begin with 0.
        publish: gives the finished file the name of the output; what it raises leaves none.

    Raises:
        OutputError: the output cannot be written.
        InputError: a segment cannot be read.
    """
    av = import_av()
    part, suffix = output.with_name(f".{output.name}.part"), output.suffix.lower()
    within = span[0] * time_base, None if span[1] is None else span[1] * time_base
    try:
        with opened(source) as container:
            pictures = picture_data(container)
        with opened(source) as original:
            old = video_stream(original, source)
            with av.open(str(part), "w", format=CONTAINERS[suffix]) as target:
                with opened(segments[0]) as first:
                    video = video_from(first, target, tags)
                    video.time_base, video.codec_context.framerate = time_base, rate
                    describe_video(old, video, suffix, cut=span[0] != 0)
                    copied = copied_streams(original, target)
                    attached = attach(original, target, suffix, pictures)
                    chapters = describe_container(original, target, within)
                    target.start_encoding()
                packets = merged(
                    video_packets(
                        segments,
                        times,
                        counted,
                        time_base,
                        video,
                        span[0],
                        None if span[1] is None else span[1] - span[0],
                    ),
                    other_packets(original, copied, within),
                    iter(cover_packets(pictures, attached)),
                )
                for packet in packets:
                    target.mux(packet)
                kept = {index: stream.index for index, stream in (copied | {old.index: video}).items()}
            notes = stream_losses(original, {*kept, *attached}) + description_losses(original, part, kept, chapters)
        publish(part)
    except (OSError, ValueError) as error:
        raise OutputError(f"{output}: cannot be written ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    return notes


def video_packets(
    segments: Sequence[Path], times: Sequence[Sequence[int]], counted: bool, time_base: Fraction, video: Any,
    begin: int, end: int | None,
) -> Iterator[Any]:  # fmt: skip
    """The packets of all segments with their time stamps in the output.

    The container of a segment delays all times, so that those of decoding are not negative, and leaves out the first
    of them. Its first packet is its first frame. Decoding times must rise and not follow those of presentation.
    """
    latest: int | None = None
    ends = [*(stamps[0] - begin for stamps in times[1:]), end]
    for path, stamps, following in zip(segments, times, ends, strict=True):
        start = stamps[0]
        with opened(path) as container:
            packets = [packet for packet in container.demux(container.streams.video[0]) if packet.pts is not None]
        delay, scale = packets[0].pts, Fraction(packets[0].time_base) / time_base
        shown = [round((packet.pts - delay) * scale) + start - begin for packet in packets]
        if counted:
            numbers = sorted(range(len(packets)), key=lambda n: packets[n].pts)
            if len(packets) != len(stamps):
                raise InputError(f"{path}: {len(packets)} of {len(stamps)} frames")
            for place, number in enumerate(numbers):
                shown[number] = stamps[place] - begin
        lengths = durations(shown, following, round((packets[-1].duration or 0) * scale))
        unknown = sum(packet.dts is None for packet in packets)
        for number, (packet, pts) in enumerate(zip(packets, shown, strict=True)):
            known = packet.dts if packet.dts is not None else packets[min(unknown, len(packets) - 1)].dts or delay
            before = max(0, unknown - number) * lengths[min(shown)]
            dts = pts if counted else round((known - delay) * scale) + start - begin - before
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


def merged(*streams: Iterator[Any]) -> Iterator[Any]:
    """Packets of several iterators in order of their decoding times."""
    import heapq

    return heapq.merge(*streams, key=lambda packet: packet.dts * Fraction(packet.time_base))
