"""The size of a picture from the first bytes of its file, for planning memory before anything is decoded.

Nothing but numbers at fixed places is read, and at most `MAX_READ` bytes of them, so that no file takes long. What a
header states is believed here, because the decoder checks it again.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from odekit.images.formats import boxes
from odekit.images.formats.deep import Refusal
from odekit.images.formats.kind import kind_of

MAX_READ = 1 << 20
"""Most bytes read at once."""
MAX_SEGMENTS = 4096
"""Segments of a JPEG that are passed until its size is stated."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that state its size (ITU-T T.81, table B.1)."""


def read_size(file: BinaryIO) -> tuple[int, int]:
    """Width and height of a picture; zeros if the format is not read, or the header is damaged.

    Args:
        file: seekable, at its beginning.
    """
    head = file.read(4096)
    try:
        kind = kind_of(head)
        if kind == "PNG":
            return _pair(">II", head, 16)
        if kind == "GIF":
            return _pair("<HH", head, 6)
        if kind == "BMP":
            return _bmp(head)
        if kind == "WEBP":
            return webp_size(head)
        if kind == "TIFF":
            return _tiff(file, head)
        if kind == "JPEG":
            return _jpeg(file)
        file.seek(0)
        return boxes.largest_size(file.read(MAX_READ))
    except (Refusal, struct.error, IndexError):
        return 0, 0


def _pair(numbers: str, data: bytes, offset: int) -> tuple[int, int]:
    width, height = struct.unpack_from(numbers, data, offset)
    return width, height


def _bmp(head: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", head, 14)[0] == 12:
        return _pair("<HH", head, 18)
    width, height = _pair("<ii", head, 18)
    return abs(width), abs(height)


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP. RFC 9649, 2.7 (VP8X) and 3.4 (lossless); RFC 6386, 9.1 (VP8)."""
    chunk, head = data[12:16], data[20:30].ljust(10, b"\x00")
    if chunk == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if chunk == b"VP8L":
        packed = int.from_bytes(head[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _tiff(file: BinaryIO, head: bytes) -> tuple[int, int]:
    """The first directory of a TIFF (TIFF 6.0, section 2) or BigTIFF."""
    order, big = ("<" if head[:2] == b"II" else ">"), 0x2B in head[2:4]
    (first,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    file.seek(min(first, 1 << 62))
    directory = file.read(8 + 20 * 4096)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), directory)
    start, step, place = (8, 20, 12) if big else (2, 12, 8)
    stated = {}
    for offset in range(start, start + step * min(count, 4096), step):
        tag, value_type = struct.unpack_from(order + "HH", directory, offset)
        number = {3: "H", 4: "I", 16: "Q"}.get(value_type)
        if tag in (256, 257) and number is not None:
            stated[tag] = struct.unpack_from(order + number, directory, offset + place)[0]
    return stated.get(256, 0), stated.get(257, 0)


def _jpeg(file: BinaryIO) -> tuple[int, int]:
    """The frame header of a JPEG; the content of other segments is skipped."""
    file.seek(2)
    for _ in range(MAX_SEGMENTS):
        marker = file.read(2)
        if len(marker) < 2 or marker[0] != 0xFF:
            break
        if marker[1] == 0xFF:  # padding
            file.seek(-1, 1)
            continue
        if marker[1] in _FRAMES:
            height, width = _pair(">HH", file.read(7), 3)
            return width, height
        if marker[1] == 0xDA:
            break
        if not 0xD0 <= marker[1] <= 0xD9:
            file.seek(max(0, int.from_bytes(file.read(2), "big") - 2), 1)
    return 0, 0
