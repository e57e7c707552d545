"""What the packets of a file tell before any is decoded: its parts, and whether all of it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from odekit.errors import InputError
from odekit_video.read import import_av, opened, video_stream
from odekit_video.sections import Section, Sections

TIMED = ("video", "audio")
"""Types of streams whose packets follow each other without pauses."""
UNREAD_SHARE, UNREAD_BYTES = 0.05, 2**15
"""A file of which more than this follows its last packet holds streams that its start does not name."""
HEADS = (bytes.fromhex("1a45dfa3"), b"FLV\1", b"nut/multimedia")
"""First bytes of files of Matroska, Flash and NUT, whose readers end with the first one or two of joined files."""


@dataclass(frozen=True)
class Layout:
    """The parts of a file, and what in it cannot be right."""

    sections: list[Section]
    broadcast: bool
    strays: set[tuple[int, int]]
    corrupt: int
    """Packets of the video in whose data the container misses something."""
    pid: int | None
    """Number of the video in a transport stream; None in other files."""

    @property
    def start(self) -> Fraction:
        """The time with which the output begins, in seconds: broadcasts begin with any, which means nothing."""
        return max(Fraction(0), self.sections[0].start) if self.broadcast and self.sections else Fraction(0)


def layout_of(path: Path) -> Layout:
    """Read all packets of a file, without decoding them.

    Raises:
        InputError: not a video, or one with a rest that cannot be read with it.
    """
    av = import_av()
    with opened(path) as container:
        video = video_stream(container, path)
        broadcast = bool(container.format.flags & av.format.Flags.ts_discont.value)
        pid = video.id if container.format.name == "mpegts" else None
        sections, corrupt = Sections(broadcast), 0
        places: dict[int, tuple[int, int]] = {}
        lengths = {s.index: Fraction(0) if s.type != "video" else usual_length(s) for s in container.streams}
        try:
            for packet in container.demux():
                if packet.pos is not None:
                    first, _ = places.get(packet.stream_index, (packet.pos, 0))
                    places[packet.stream_index] = first, packet.pos
                corrupt += packet.is_corrupt and packet.stream_index == video.index
                if packet.stream.type in TIMED and packet.dts is not None:
                    base = Fraction(packet.time_base)
                    shown = packet.dts if packet.pts is None else packet.pts
                    length = packet.duration * base if packet.duration else lengths[packet.stream_index]
                    sections.add(packet.stream_index, packet.dts * base, shown * base, length, packet.is_keyframe)
        except av.error.FFmpegError:
            pass  # the search of the faces meets it again, and tells it
        types = {stream.index: stream.type for stream in container.streams}
        check_rest(path, broadcast, places, video.index, types)
    found = sections.finish()
    corrupt = max(0, corrupt - max(0, len(found) - 1))  # a join misses something by itself
    return Layout(found, broadcast, sections.strays, corrupt, pid)


def check_rest(
    path: Path, broadcast: bool, places: Mapping[int, tuple[int, int]], video: int, types: Mapping[int, str]
) -> None:
    """Refuse a file with more behind its video, as parts that were joined have where their streams are others.

    Args:
        path: the file.
        broadcast: whether its packets are in the order of their times.
        places: where the first and the last packet of each stream begin, in bytes.
        video: number of the video that is restored.
        types: of all streams.

    Raises:
        InputError: there is such a rest.
    """
    size, end = path.stat().st_size, max((last for _, last in places.values()), default=0)
    rest = size - end
    if broadcast:
        later = [first for stream, (first, _) in places.items() if types[stream] in TIMED]
        behind = [first for first in later if first > places.get(video, (0, size))[1]]
        rest = size - min(behind) if behind else rest * (rest > max(UNREAD_SHARE * size, UNREAD_BYTES))
    elif not begins_again(path, end):
        rest = 0
    if rest:
        raise InputError(
            f"{path}: its last {rest / 2**20:.1f} of {size / 2**20:.1f} MiB are of other streams than those that it "
            "begins with, as in files joined byte by byte; restore its parts one by one"
        )


def begins_again(path: Path, start: int) -> bool:
    """Whether another file of the same kind begins behind this place."""
    with path.open("rb") as file:
        first = file.read(max(map(len, HEADS)))
        head = next((head for head in HEADS if first.startswith(head)), None)
        if head is None:
            return False
        file.seek(start)
        end = b""
        while block := file.read(2**20):
            if head in end + block:
                return True
            end = block[1 - len(head) :]
    return False


def usual_length(stream: Any) -> Fraction:
    """How long a frame of a video stream is shown, in seconds, where its packets do not say it."""
    rate = stream.average_rate or stream.guessed_rate
    return 1 / Fraction(rate) if rate else Fraction(1, 25)
