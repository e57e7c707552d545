"""Where the time stamps of a file begin again, as in files joined byte by byte, and by how much each part is moved.

Each stream tells for itself, since packets of the next part come before the last ones of the part before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

SMALL = Fraction(1, 20)
"""A stamp that is earlier by less, in seconds, is a careless one, and begins no part."""
LONG = 10
"""In streams for broadcast, a stamp that is later by more, in seconds, begins a part; no pause is so long."""
ANEW = 1
"""In other files, a part begins with a time this near to that of the file's start, in seconds."""


@dataclass
class Section:
    """A part of a file whose time stamps rise; times in seconds."""

    start: Fraction
    end: Fraction
    first: dict[int, int] = field(default_factory=dict)
    """By stream, the number of its first packet in this part, of those that have a decoding time."""
    shift: Fraction = Fraction(0)
    """What continues the part before: this is added to all times."""

    def near(self, time: Fraction, most: int = LONG) -> bool:
        """Whether a time is in this part, or just beside it."""
        return self.start - most <= time <= self.end + most

    def hold(self, shown: Fraction, length: Fraction) -> None:
        """Reach over a packet that is shown at this time."""
        self.start, self.end = min(self.start, shown), max(self.end, shown + length)


@dataclass(frozen=True)
class Stamp:
    """Times of a packet, in seconds, and its number in its stream."""

    number: int
    decoded: Fraction
    shown: Fraction
    length: Fraction
    key: bool
    """Whether it can be decoded without those before it."""


@dataclass
class Walk:
    """How far one stream was read."""

    section: int | None = None
    latest: Fraction = Fraction(0)
    """Latest time in this part: of decoding in streams for broadcast, else of presentation."""
    count: int = 0
    jumped: Stamp | None = None
    """A packet that does not follow; the next one tells whether a part begins or its time is an error."""


class Sections:
    """The parts of a file, found packet by packet."""

    def __init__(self, broadcast: bool) -> None:
        """`broadcast`: a format that states times of decoding, and in which times may jump, as in MPEG-TS.

        Others, such as Matroska, state the times of presentation only. These are in no order, but a frame that can be
        decoded alone follows all before it.
        """
        self.broadcast = broadcast
        self.found: list[Section] = []
        self.walks: dict[int, Walk] = {}
        self.strays: set[tuple[int, int]] = set()
        """Stream and number of packets whose time is an error."""

    def add(self, stream: int, decoded: Fraction, shown: Fraction, length: Fraction, key: bool) -> None:
        """The next packet of a stream; times in seconds."""
        walk = self.walks.setdefault(stream, Walk())
        stamp = Stamp(walk.count, decoded, shown, length, key)
        walk.count += 1
        if walk.section is None or (not self.broadcast and self._begins_anew(walk, stamp)):
            self._enter(stream, walk, stamp)
        elif not self.broadcast or (walk.jumped is None and self._follows(walk, decoded)):
            self._go_on(walk, stamp)
        elif walk.jumped is None:
            walk.jumped = stamp
        elif decoded > walk.latest and self._follows(walk, decoded):
            self.strays.add((stream, walk.jumped.number))
            walk.jumped = None
            self._go_on(walk, stamp)
        else:
            self._enter(stream, walk, walk.jumped)
            walk.jumped = None
            if self._follows(walk, decoded):
                self._go_on(walk, stamp)
            else:
                walk.jumped = stamp

    def finish(self) -> list[Section]:
        """The parts, moved to follow each other."""
        for stream, walk in self.walks.items():
            if walk.jumped is not None:
                self._enter(stream, walk, walk.jumped)
        for before, section in zip(self.found, self.found[1:], strict=False):
            section.shift = before.end + before.shift - section.start
        return self.found

    def _follows(self, walk: Walk, decoded: Fraction) -> bool:
        assert walk.section is not None
        return walk.latest - SMALL <= decoded <= self.found[walk.section].end + LONG

    def _begins_anew(self, walk: Walk, stamp: Stamp) -> bool:
        return stamp.key and stamp.shown < walk.latest - SMALL and stamp.shown <= self.found[0].start + ANEW

    def _go_on(self, walk: Walk, stamp: Stamp) -> None:
        assert walk.section is not None
        walk.latest = max(walk.latest, stamp.decoded if self.broadcast else stamp.shown)
        self.found[walk.section].hold(stamp.shown, stamp.length)

    def _enter(self, stream: int, walk: Walk, stamp: Stamp) -> None:
        """Begin a part, or the one that another stream has begun already."""
        count = len(self.found)
        later = reversed(range(count)) if walk.section is None else iter(range(walk.section + 1, count))
        known = next((n for n in later if self.found[n].near(stamp.shown)), None)
        if known is None:
            known = count
            self.found.append(Section(stamp.shown, stamp.shown))
        walk.section, walk.latest = known, stamp.decoded if self.broadcast else stamp.shown
        self.found[known].first[stream] = stamp.number
        self._go_on(walk, stamp)


def current_section(sections: list[Section], counts: Mapping[int, int], stream: int) -> int:
    """The part in which a stream is once it has given so many packets."""
    inside = [n for n, section in enumerate(sections) if section.first.get(stream, counts[stream]) < counts[stream]]
    return inside[-1] if inside else 0
