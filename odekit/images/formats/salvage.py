"""The readable part of a truncated JPEG or PNG: the rows before the cut.

No option of Pillow is changed (its `LOAD_TRUNCATED_IMAGES` is global to the process): the data is completed instead, so
that the decoders take it for a whole file.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from odekit.images.formats import decode as whole
from odekit.images.formats.bounds import check_structure, jpeg_segments
from odekit.images.formats.decode import Decoded
from odekit.images.formats.deep import Refusal
from odekit.images.formats.kind import kind_of

SALVAGEABLE = ("JPEG", "PNG")
_END_OF_IMAGE = b"\xff\xd9"
_START_OF_SCAN = b"\xff\xda"
_MID_GREY = (127, 128)
"""What coefficients of zero decode to: 128, and 127 in inverted CMYK."""
_PIECE = 256
"""Bytes inflated at a time; an error in the stream costs what the same piece holds before it."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Samples of a pixel by the colour type of PNG (ISO 15948, 11.2.2)."""


def is_salvageable(data: bytes) -> bool:
    """Whether a damaged file is of a format whose readable part can be restored."""
    try:
        return kind_of(data) in SALVAGEABLE
    except Refusal:
        return False


def salvage(data: bytes, max_megapixels: float) -> Decoded:
    """Decode the complete rows at the top of a truncated JPEG or PNG; `rows` and `notes` of the result count them.

    Raises:
        Refusal: another format, an interlaced PNG, too many pixels, or no complete row.
        Exception: any error of the decoders on data that is damaged otherwise.
    """
    kind = kind_of(data)
    if kind not in SALVAGEABLE:
        raise Refusal(f"is damaged or incomplete, and --salvage reads JPEG and PNG only, not {kind}; copy it again")
    decoded, height = (_jpeg if kind == "JPEG" else _png)(data, max_megapixels)
    rows = len(decoded.codes)
    note = f"is incomplete: {rows} of {height} rows ({rows / height:.0%}) were readable; the result holds these"
    if rows == height:
        note = "is incomplete: all rows were readable, the lower ones with less detail"
    return replace(decoded, rows=(rows, height), notes=(note,))


def _no_rows() -> Refusal:
    return Refusal("is cut off before its first complete row, so nothing can be salvaged; copy or export it again")


def _jpeg(data: bytes, max_megapixels: float) -> tuple[Decoded, int]:
    """The complete rows of blocks of a JPEG, and its height."""
    picture = whole.open_picture(data + _END_OF_IMAGE, max_megapixels)
    assert isinstance(picture, JpegImagePlugin.JpegImageFile)
    height, block = picture.height, 8 * max(vertical for _, _, vertical, _ in picture.layer)
    picture.load()
    # The first scan of a progressive JPEG holds every block coarsely; the next one starts where it is complete.
    rows = height if _count_scans(data) > 1 else _complete_rows(np.asarray(picture), block)
    if rows == 0:
        raise _no_rows()
    kept = picture.crop((0, 0, picture.width, rows))
    kept.info = picture.info
    return whole.described("JPEG", kept, *whole.eight_bit_samples(kept)), height


def _count_scans(data: bytes) -> int:
    """Number of scans that start in a JPEG; markers in its header segments (previews) do not count."""
    *_, (_, start, _) = jpeg_segments(data)
    return 1 + data.count(_START_OF_SCAN, start)


def _complete_rows(samples: NDArray[np.uint8], block: int) -> int:
    """Number of rows of a decoded JPEG above the row of blocks in which its data ends.

    After the end of the data libjpeg leaves the coefficients of all further blocks at zero (jdhuff.c,
    `insufficient_data`), which decodes to mid-grey. So the data ends in the row of blocks above the grey ones; the last
    row of each row of blocks is examined, because chroma is interpolated between the upper ones.

    Args:
        samples: (H, W) or (H, W, C).
        block: rows of a block of all components: 8 or 16; with 16, chroma may have half the height.
    """
    height = len(samples)
    last_rows = samples[[min(bottom, height) - 1 for bottom in range(block, height + block, block)]]
    grey = np.isin(last_rows, _MID_GREY).reshape(len(last_rows), -1).all(axis=1)
    present = np.flatnonzero(~grey)
    complete = int(present[-1]) * block if present.size else 0
    return max(0, complete - (block > 8))  # the chroma of the row above the cut is interpolated with what is missing


def _png(data: bytes, max_megapixels: float) -> tuple[Decoded, int]:
    """The complete rows of a PNG, and its height."""
    check_structure("PNG", data)
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    whole.check_size(width, height, max_megapixels)
    if interlaced:
        raise Refusal("is an incomplete interlaced PNG, which cannot be salvaged; copy or export it again")
    header, compressed = _png_parts(data)
    stride = 1 + (width * bits * _CHANNELS[colour] + 7) // 8
    raw = _inflate(compressed, height * stride)
    rows = len(raw) // stride
    if rows == 0:
        raise _no_rows()
    ihdr = struct.pack(">II", width, rows) + data[24:29]
    image = zlib.compress(raw[: rows * stride], 1)
    complete = b"".join([_SIGNATURE, _chunk(b"IHDR", ihdr), *header, _chunk(b"IDAT", image), _chunk(b"IEND", b"")])
    return whole.decode(complete, max_megapixels), height


def _inflate(compressed: bytes, limit: int) -> bytes:
    """At most `limit` bytes of a zlib stream, up to its cut or first error."""
    inflate, raw = zlib.decompressobj(), bytearray()
    with contextlib.suppress(zlib.error):
        for i in range(0, len(compressed), _PIECE):
            raw += inflate.decompress(compressed[i : i + _PIECE], limit - len(raw))
            if len(raw) >= limit:
                break
    return bytes(raw)


def _png_parts(data: bytes) -> tuple[list[bytes], bytes]:
    """(complete chunks between the header and the image data, image data up to its cut or first damaged chunk)."""
    header, compressed, offset = [], [], 33
    while offset + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + 8 + length]
        checksum = data[offset + 8 + length : offset + 12 + length]
        if len(checksum) == 4 and int.from_bytes(checksum, "big") != zlib.crc32(name + body):
            break  # damaged, not cut off: what it holds may decode to wrong pixels
        if name == b"IDAT":
            compressed.append(body)
        elif len(body) == length and not compressed and name not in (b"acTL", b"fcTL"):
            header.append(_chunk(name, body))
        offset += 12 + length
    return header, b"".join(compressed)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
