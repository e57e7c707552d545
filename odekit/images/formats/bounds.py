"""Limits on the structure of a file, checked before a decoder reads it.

Decoders read markers, chunks and directory entries one by one, several of them in Python, so a file of some megabytes
made of the smallest ones costs minutes; the entries of a TIFF directory may all name the same bytes, which are then
copied once for each. The functions here walk over the structure once, without its contents, and refuse such files.
Every limit is far above what cameras, scanners and editors write.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from odekit.images.formats.deep import Refusal
from odekit.images.formats.exif import NESTED, PREFIX, value_bytes

MAX_MARKERS = 4096
"""Segments of a JPEG before its image data: 268 MB of metadata."""
MAX_SCANS = 100
"""Scans of a JPEG, as in libtiff (JPEG_MAX_ALLOWED_SCAN_NUMBER): each passes over the whole image."""
MAX_EXIF_SEGMENTS = 128
"""EXIF segments of a JPEG: 8 MiB."""
MAX_JUNK = 1 << 16
"""Bytes between the segments of a JPEG that belong to none."""
MAX_CHUNKS = 20_000
"""Chunks of a PNG, and blocks of a GIF before the end of its first image, besides those of image data."""
MIN_DATA_CHUNK = 64
"""Mean size in bytes of the pieces of image data in a file with more than `MAX_CHUNKS` of them."""
MAX_PROFILES = 4
"""Colour profiles of a PNG, each of which is decompressed; the standard allows one."""
MAX_TAGS = 4096
"""Entries of a TIFF directory."""
MAX_STRIPS = 200_000
"""Strips or tiles of a TIFF, each of which becomes a number in Python; no writer makes strips of less than a row."""
MAX_PAGES = 100
"""Pages of a TIFF that are counted."""
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker within JPEG image data: neither a stuffed byte, nor a restart marker, nor padding (ITU-T T.81, B.1.1)."""


def check_structure(kind: str, data: bytes) -> None:
    """Raise Refusal for a file of this format (Pillow's name) whose structure exceeds the limits.

    A file that is damaged otherwise passes: its decoder says what is wrong.
    """
    try:
        check = _CHECKS.get(kind)
        if check is not None:
            check(data)
    except (struct.error, IndexError):
        pass


def _refuse(what: str) -> Refusal:
    return Refusal(f"has {what}, so it was not decoded (damaged, or made to exhaust the machine); save it again as PNG")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start and end of its content) of each segment up to the start of the image data, which comes last.

    Raises:
        Refusal: there are too many.
        IndexError: the file ends before the image data.
    """
    offset, junk = 2, 0
    for _ in range(MAX_MARKERS):
        while data[offset] != 0xFF or data[offset + 1] in (0, 0xFF):
            junk += 1
            offset += 1
            if junk > MAX_JUNK:
                raise _refuse(f"more than {MAX_JUNK} bytes between its segments")
        marker = data[offset + 1]
        offset += 2
        if 0xD0 <= marker <= 0xD9 or marker == 0x01:  # without content
            continue
        end = max(offset + 2, offset + int.from_bytes(data[offset : offset + 2], "big"))
        yield marker, offset + 2, end
        if marker == 0xDA:
            return
        offset = end
    raise _refuse(f"more than {MAX_MARKERS} segments before its image data")


def jpeg_exif(data: bytes) -> list[tuple[int, int]]:
    """Start and end of the content of each EXIF segment before the image data."""
    found = []
    try:
        for marker, start, end in jpeg_segments(data):
            if marker == 0xE1 and data.startswith(PREFIX, start):
                found.append((start, end))
    except IndexError:
        pass
    return found


def _check_jpeg(data: bytes) -> None:
    offset = exif = 0
    for marker, start, end in jpeg_segments(data):
        exif += marker == 0xE1 and data.startswith(PREFIX, start)
        offset = end
    if exif > MAX_EXIF_SEGMENTS:
        raise _refuse(f"{exif} EXIF segments")
    scans = 1
    for _ in range(MAX_MARKERS):
        found = _MARKER.search(data, offset)
        if found is None or data[found.end() - 1] == 0xD9:  # end of the image; what follows is not decoded
            return
        scans += data[found.end() - 1] == 0xDA
        if scans > MAX_SCANS:
            raise _refuse(f"more than {MAX_SCANS} scans")
        offset = found.end() + max(2, int.from_bytes(data[found.end() : found.end() + 2], "big"))
    raise _refuse(f"more than {MAX_MARKERS} segments within its image data")


def _check_png(data: bytes) -> None:
    offset, others, pieces, profiles, stored = 8, 0, 0, 0, 0
    while offset + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        offset += 12 + length
        if name in (b"IDAT", b"fdAT"):
            pieces, stored = pieces + 1, stored + length
        else:
            others += 1
        profiles += name == b"iCCP"
        if others > MAX_CHUNKS or profiles > MAX_PROFILES:
            raise _refuse(f"more than {MAX_PROFILES} colour profiles" if profiles > MAX_PROFILES else
                          f"more than {MAX_CHUNKS} chunks besides its image data")  # fmt: skip
        if pieces > MAX_CHUNKS and stored < pieces * MIN_DATA_CHUNK:
            raise _refuse(f"its image data in pieces of {stored // pieces} bytes")
        if name == b"IEND":
            return


def _check_gif(data: bytes) -> None:
    """Walk to the second image, up to which Pillow reads to see whether there is one (GIF89a, 18 to 26)."""
    offset = 13 + _colours(data[10])
    blocks = images = pieces = stored = 0
    while images < 2:
        block = data[offset]
        blocks += 1
        if blocks > MAX_CHUNKS:
            raise _refuse(f"more than {MAX_CHUNKS} blocks")
        if block == 0x2C:
            images += 1
            offset += 11 + _colours(data[offset + 9])
        elif block == 0x21:
            offset += 2
        elif block == 0x3B:
            return
        else:  # Pillow skips what is no block byte by byte
            offset += 1
            continue
        if images == 2:
            return
        comment = block == 0x21
        while size := data[offset]:
            offset += 1 + size
            pieces, stored = pieces + 1, stored + size
            blocks += comment
            if blocks > MAX_CHUNKS or (pieces > MAX_CHUNKS and stored < pieces * MIN_DATA_CHUNK):
                raise _refuse(f"data in more than {MAX_CHUNKS} pieces of few bytes")
        offset += 1


def _colours(flags: int) -> int:
    """Size in bytes of the colour table that a GIF's flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _check_bmp(data: bytes) -> None:
    """Pillow reads run lengths in Python; a picture needs at most two bytes for a pixel, and two for a row."""
    header, width, height, _, _, compression = struct.unpack_from("<IiiHHI", data, 14)
    if header >= 40 and compression in (1, 2):
        (start,) = struct.unpack_from("<I", data, 10)
        if len(data) - start > 4 * abs(width * height) + 8 * abs(height) + 65536:
            raise _refuse(f"{len(data) - start} bytes for {width} x {abs(height)} pixels")


def _check_tiff(data: bytes) -> None:
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\x00", b"\x00+")
    pointer = order + ("Q" if big else "I")
    (offset,) = struct.unpack_from(pointer, data, 8 if big else 4)
    for _ in range(MAX_PAGES + 1):
        if not 8 <= offset < len(data):
            return
        nested, following = _check_directory(data, order, offset, big)
        for place in nested:
            _check_directory(data, order, place, big)
        (offset,) = struct.unpack_from(pointer, data, following)


def _check_directory(data: bytes, order: str, start: int, big: bool) -> tuple[list[int], int]:
    """(offsets of the directories that one names, end of its entries). Raises Refusal if the entries are too many."""
    if start >= len(data):
        return [], 0
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    if count > MAX_TAGS:
        raise _refuse(f"a directory of {count} entries")
    size = value_bytes(data, order, start, big)
    if size > 2 * len(data) + 65536:
        raise _refuse(f"{size} bytes of values in a directory, although the file has {len(data)}")
    first, step, value = (start + 8, 20, "Q") if big else (start + 2, 12, "I")
    end = first + step * count
    for entry in range(first, min(end, len(data) - step + 1), step):
        tag, _, number = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, entry)
        if tag in (273, 324) and number > MAX_STRIPS:
            raise _refuse(f"{number} strips or tiles")
    nested = [
        struct.unpack_from(order + value, data, entry + step - (8 if big else 4))[0]
        for entry in range(first, min(end, len(data) - step + 1), step)
        if struct.unpack_from(order + "H", data, entry)[0] in NESTED
    ]
    return nested, end


_CHECKS: dict[str, Callable[[bytes], None]] = {
    "JPEG": _check_jpeg,
    "PNG": _check_png,
    "GIF": _check_gif,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
}
