"""A copy of a joined file whose time stamps go on where those of the next part begin again.

Everything else reads this copy, so that it may rely on rising time stamps, and can seek.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from odekit.errors import InputError, OutputError
from odekit_video.layout import TIMED, Layout
from odekit_video.read import import_av, opened
from odekit_video.sections import Section, current_section

REORDER = 20
"""Packets that a packet may precede although it is shown after them, at most (16 in H.264 and H.265)."""


def continue_stamps(source: Path, layout: Layout, folder: Path) -> Path:
    """Copy all streams of a file that its kind of container can hold; returns the copy, of an earlier run or new.

    Raises:
        InputError: none of its video streams can be copied.
        OutputError: the copy cannot be written.
    """
    av = import_av()
    out, part = folder / "continued", folder / "continued.part"
    if out.exists():
        return out
    try:
        with opened(source) as original:
            format, options = ("mpegts", {"mpegts_copyts": "1"}) if layout.broadcast else ("matroska", {})
            with av.open(str(part), "w", format=format, options=options) as target:
                copied = copies(original, target)
                if not any(stream.type == "video" for stream in copied.values()):
                    raise InputError(f"{source}: its time stamps begin again, and its video cannot be copied")
                target.metadata.update(original.metadata)
                target.set_chapters(original.chapters())
                target.start_encoding()
                packets = shifted(original, layout, list(copied))
                for packet in packets if layout.broadcast else with_decoding_times(packets):
                    packet.stream = copied[packet.stream_index]
                    target.mux(packet)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{out}: its parts cannot be joined ({error})") from error
    part.replace(out)
    return out


def copies(original: Any, target: Any) -> dict[int, Any]:
    """Streams of the copy, by the index of those that they are copied from."""
    out: dict[int, Any] = {}
    for stream in original.streams:
        try:
            new = target.add_stream_from_template(stream, opaque=True)
        except (ValueError, OSError):
            continue
        new.metadata.update(stream.metadata)
        new.disposition = stream.disposition
        out[stream.index] = new
    return out


def missing_streams(source: Path, copy: Path) -> list[str]:
    """A sentence for each type of streams of which the copy holds fewer."""
    with opened(source) as original, opened(copy) as copied:
        lost = Counter(s.type for s in original.streams) - Counter(s.type for s in copied.streams)
    return [f"{count} {kind} stream{'s' * (count > 1)} left out" for kind, count in lost.items()]


def shifted(original: Any, layout: Layout, streams: list[int]) -> Iterator[Any]:
    """The packets of these streams, each moved with its part."""
    av = import_av()
    sections = layout.sections
    counts: Counter[int] = Counter()
    latest: dict[int, int] | None = {} if layout.broadcast else None
    packets = original.demux([original.streams[index] for index in streams])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        index = packet.stream_index
        if packet.size == 0:
            continue
        if packet.stream.type in TIMED:
            if packet.dts is not None:
                counts[index] += 1
                if (index, counts[index] - 1) in layout.strays:
                    continue
            section = sections[current_section(sections, counts, index)]
        else:
            section = section_at(sections, counts, packet)
        move(packet, section.shift, latest)
        yield packet


def section_at(sections: list[Section], counts: Counter[int], packet: Any) -> Section:
    """The part of a packet without a stream of rising times, such as a subtitle: the one that is being read."""
    now = max((current_section(sections, counts, stream) for stream in counts), default=0)
    if packet.pts is not None and now:
        time = packet.pts * Fraction(packet.time_base)
        for number in (now, now - 1):
            if sections[number].near(time, 1):
                return sections[number]
    return sections[now]


def move(packet: Any, shift: Fraction, latest: dict[int, int] | None) -> None:
    """Add a shift in seconds to the times of a packet.

    `latest` holds the decoding time before, by stream: they must rise. None if they are not known, and given later.
    """
    index, ticks = packet.stream_index, round(shift / Fraction(packet.time_base))
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks
    if latest is None:
        return
    least = latest.get(index, -1) + 1
    packet.dts = latest[index] = least if packet.dts is None or (index in latest and packet.dts < least) else packet.dts
    if packet.pts is not None and packet.pts < packet.dts:
        packet.pts = packet.dts


def with_decoding_times(packets: Iterator[Any]) -> Iterator[Any]:
    """The packets, those of a video with the earliest presentation that is still to come as time of decoding."""
    waiting: dict[int, deque[Any]] = {}

    def ready(queue: deque[Any]) -> Any:
        packet = queue[0]
        packet.dts = min(other.pts for other in queue)
        return queue.popleft()

    for packet in packets:
        if packet.pts is None:
            continue
        if packet.stream.type != "video":
            packet.dts = packet.pts
            yield packet
            continue
        queue = waiting.setdefault(packet.stream_index, deque())
        queue.append(packet)
        if len(queue) > REORDER:
            yield ready(queue)
    for queue in waiting.values():
        while queue:
            yield ready(queue)
