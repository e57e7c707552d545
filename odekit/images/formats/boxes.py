"""The boxes of HEIF and AVIF files, read before their libraries are (ISO/IEC 14496-12, 4.2 and 8.11).

The libraries limit their own work, but what wraps them copies metadata: Pillow the values of all EXIF entries of an
AVIF, pi-heif the metadata once for each picture of a HEIF. So the sizes of both are added up here first.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from odekit.images.formats.deep import Refusal
from odekit.images.formats.exif import PREFIX, is_sane

MAX_BOXES = 10_000
"""Boxes of one level, and items of a file, that are read."""
MAX_PIECES = 20_000
"""Pieces of all items together."""
MAX_EXIF_ITEMS = 4
"""EXIF items that are judged; of a file with more, none is read."""
MAX_METADATA = 64 << 20
"""Largest sum in bytes of the metadata of all pictures of a HEIF."""
_DESCRIPTION = (b"meta", b"moov")
"""Boxes of the top level that describe the pictures."""
_METADATA = (b"Exif", b"mime", b"uri ")
"""Types of items that are no pictures."""
_SIZE = re.compile(rb"ispe\x00\x00\x00\x00(.{8})", re.DOTALL)
"""The property that states a picture's size (ISO/IEC 23008-12, 6.5.3)."""


@dataclass
class Items:
    """The items of a file."""

    types: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """(offset in the file, length) of the pieces of each item."""

    def length(self, item: int) -> int:
        """Size of an item in bytes."""
        return sum(length for _, length in self.extents.get(item, ()))

    @property
    def metadata_bytes(self) -> int:
        """Size of the metadata if every picture carries all of it."""
        metadata = [item for item, name in self.types.items() if name in _METADATA]
        return sum(map(self.length, metadata)) * max(1, len(self.types) - len(metadata))

    @property
    def total(self) -> int:
        """Sum of the sizes of all items, in bytes."""
        return sum(map(self.length, self.extents))


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start and end of the content) of the boxes in a range; ends at the first that does not fit."""
    for _ in range(MAX_BOXES):
        if start + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1 and start + 16 <= end:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        size = size or end - start
        if size < head or start + size > end:
            yield name, min(start + head, end), end  # cut off: what there is
            return
        yield name, start + head, start + size
        start += size


def descriptions(data: bytes) -> list[tuple[int, int]]:
    """Start and end of the content of the boxes that describe the pictures."""
    return [(start, end) for name, start, end in boxes(data, 0, len(data)) if name in _DESCRIPTION]


def largest_size(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that the boxes state; zeros if they state none."""
    sizes = [
        struct.unpack(">II", found[1])
        for start, end in descriptions(data)
        for found in _SIZE.finditer(data, start, end)
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def items(data: bytes) -> Items:
    """The items that the boxes list; those of damaged boxes are left out.

    Raises:
        Refusal: the items are in more than `MAX_PIECES` pieces.
    """
    out = Items()
    for name, start, end in boxes(data, 0, len(data)):
        if name != b"meta":
            continue
        inner = {kind: (first, last) for kind, first, last in boxes(data, start + 4, end)}
        try:
            if b"iinf" in inner:
                out.types.update(_types(data, *inner[b"iinf"]))
            if b"iloc" in inner:
                out.extents.update(_extents(data, *inner[b"iloc"], inner.get(b"idat", (0, 0))[0]))
        except struct.error:
            continue
    return out


def _types(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(number, type) of the items (ISO/IEC 14496-12, 8.11.6)."""
    first = start + (6 if data[start] == 0 else 8)
    for name, at, last in boxes(data, first, end):
        if name == b"infe" and at + 12 <= last and data[at] >= 2:
            wide = data[at] > 2
            (number,) = struct.unpack_from(">I" if wide else ">H", data, at + 4)
            yield number, data[at + (10 if wide else 8) :][:4]


def _extents(data: bytes, start: int, end: int, idat: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """(number, pieces) of the items (ISO/IEC 14496-12, 8.11.3)."""
    version, sizes = data[start], int.from_bytes(data[start + 4 : start + 6], "big")
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_size = sizes & 15 if version else 0
    at, wide = start + 6, version > 1
    count, at = _number(data, at, 4 if wide else 2)
    total = 0
    for _ in range(min(count, MAX_BOXES)):
        number, at = _number(data, at, 4 if wide else 2)
        method = 0
        if version:
            method, at = _number(data, at, 2)
        base, at = _number(data, at + 2, base_size)
        pieces, at = _number(data, at, 2)
        total += pieces
        if total > MAX_PIECES:
            raise Refusal(f"holds its pictures in more than {MAX_PIECES} pieces, so it was not decoded; save it as PNG")
        found = []
        for _ in range(pieces):
            if at > end:
                raise struct.error("the box is cut off")
            offset, at = _number(data, at + index_size, offset_size)
            length, at = _number(data, at, length_size)
            first = base + offset + (idat if method & 15 == 1 else 0)
            found.append((first, length or max(0, len(data) - first)))
        yield number, found


def _number(data: bytes, at: int, size: int) -> tuple[int, int]:
    """(a number of `size` bytes, offset behind it)."""
    return int.from_bytes(data[at : at + size], "big"), at + size


def without_hostile_exif(data: bytes, found: Items) -> bytes:
    """The file; its EXIF items renamed, so that no decoder reads them, if one is hostile or cannot be judged."""
    spans = descriptions(data)
    listed = sum(data.count(b"infe", start, end) for start, end in spans)
    exif = [item for item, name in found.types.items() if name == b"Exif"]
    blocks = [_content(data, found.extents.get(item, ())) for item in exif[: MAX_EXIF_ITEMS + 1]]
    if listed == len(found.types) and len(blocks) <= MAX_EXIF_ITEMS and all(map(_is_sane_item, blocks)):
        return data
    changed = bytearray(data)
    for start, end in spans:
        changed[start:end] = data[start:end].replace(b"Exif", b"exif")
    return bytes(changed)


def _content(data: bytes, extents: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(data[start : start + length] for start, length in extents)


def _is_sane_item(block: bytes) -> bool:
    """Whether an EXIF item is sane, wherever its TIFF stream starts (ISO/IEC 23008-12, A.2.1)."""
    stated = 4 + int.from_bytes(block[:4], "big")
    starts = {stated, 4, 4 + len(PREFIX), block.find(b"II*\x00"), block.find(b"MM\x00*")}
    return all(is_sane(block[start:]) for start in starts if start >= 0)
