"""Reading and writing of PNG and TIFF with 16 bits per channel, which Pillow would reduce to 8.

Samples are (H, W, C): grey, grey and alpha, RGB, or RGB and alpha. 8-bit TIFF is written here as well.
"""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pil
from PIL import TiffImagePlugin

from odekit.images.formats.colour import Codes
from odekit.images.formats.exif import PREFIX, add_exif_to_tiff, byte_order, unrotated

Deep = NDArray[np.uint16]
_GREY, _RGB, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 4, 6  # colour types of PNG (ISO 15948, 11.2.2)


class Refusal(Exception):
    """The reason for refusing a file, without its path: what is wrong; what to do."""


def read_png(data: bytes) -> Deep:
    """Decode a 16-bit PNG exactly. The transparent colour of a tRNS chunk becomes an alpha channel.

    Pillow's unpackers return either the high bytes ("RGB;16B") or the low bytes ("RGB;16L") of the same stream;
    together they are the samples. pypng, in pure Python, takes ten times as long and inflates without a size limit.

    Raises:
        ValueError: the stream is damaged or too short.
    """
    chunks = _png_chunks(data)
    width, height, _, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[b"IHDR"])

    def unpack(mode: str, raw: str) -> NDArray[np.uint8]:
        return np.asarray(Pil.frombytes(mode, (width, height), chunks[b"IDAT"], "zip", raw, interlaced))

    if colour in (_GREY, _GREY_ALPHA):
        octets = unpack("LA", "LA") if colour == _GREY else unpack("RGBA", "RGBA")
        codes = _join_bytes(octets[..., 0::2], octets[..., 1::2])
    else:
        mode = "RGB" if colour == _RGB else "RGBA"
        codes = _join_bytes(unpack(mode, mode + ";16B"), unpack(mode, mode + ";16L"))
    if b"tRNS" in chunks and colour in (_GREY, _RGB):
        transparent = np.frombuffer(chunks[b"tRNS"], ">u2", codes.shape[2])
        alpha = np.where((codes == transparent).all(axis=2), 0, 65535).astype(np.uint16)
        codes = np.concatenate([codes, alpha[..., None]], axis=2)
    return codes


def _join_bytes(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> Deep:
    """16-bit samples from their high and low bytes."""
    codes = high.astype(np.uint16)
    codes <<= 8
    codes |= low
    return codes


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """Chunks by name; the parts of the image data (IDAT) are concatenated."""
    chunks: dict[bytes, list[bytes]] = {}
    offset = 8
    while offset + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, offset)
        chunks.setdefault(name, []).append(data[offset + 8 : offset + 8 + length])
        offset += 12 + length
    return {name: b"".join(parts) if name == b"IDAT" else parts[0] for name, parts in chunks.items()}


def write_png(codes: Deep, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Encode samples as 16-bit PNG."""
    import png

    height, width, channels = codes.shape
    out = io.BytesIO()
    writer = png.Writer(width, height, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4))
    writer.write_packed(out, np.ascontiguousarray(codes).astype(">u2").reshape(height, -1).view(np.uint8))
    extra = []
    if icc:
        extra.append((b"iCCP", b"ICC profile\x00\x00" + zlib.compress(icc)))
    if dpi:
        extra.append((b"pHYs", struct.pack(">IIB", *(round(x / 0.0254) for x in dpi), 1)))
    if exif:
        extra.append((b"eXIf", exif.removeprefix(PREFIX)))
    chunks = list(png.Reader(bytes=out.getvalue()).chunks())
    final = io.BytesIO()
    png.write_chunks(final, chunks[:1] + extra + chunks[1:])
    return final.getvalue()


def read_tiff(page: Any, data: bytes) -> Deep:
    """Decode a 16-bit page of tifffile with grey or RGB samples exactly. Associated (premultiplied) alpha is undone.

    Raises:
        Refusal: the samples are stored in a way that neither tifffile nor Pillow reads exactly.
        ValueError: the page is damaged.
    """
    if page.compression in (1, 8, 32773, 32946):  # none, PackBits, Deflate: those that tifffile decodes itself
        if page.compression in (8, 32946):
            _check_inflated(page, data)
        codes = page.asarray().reshape(page.shape if page.ndim == 3 else (*page.shape, 1))
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            codes = codes.transpose(1, 2, 0)
    else:
        codes = _read_tiff_with_pillow(data, page.samplesperpixel)
    codes = codes.astype(np.uint16)
    if page.photometric == 0:  # white is zero
        codes[..., 0] = 65535 - codes[..., 0]
    colours = 1 if page.photometric in (0, 1) else 3
    if not page.extrasamples or page.extrasamples[0] == 0:  # none, or of unspecified meaning
        return np.ascontiguousarray(codes[..., :colours])
    codes = np.ascontiguousarray(codes[..., : colours + 1])
    if page.extrasamples[0] == 1:  # associated alpha
        alpha = codes[..., colours:].astype(np.float64)
        straight = np.rint(codes[..., :colours] * 65535.0 / np.maximum(alpha, 1.0))
        codes[..., :colours] = np.minimum(straight, 65535)
    return codes


def _check_inflated(page: Any, data: bytes) -> None:
    """Raise Refusal if a strip or tile holds more than its samples; tifffile inflates all of it, however much it is."""
    size = 4 * int(np.prod(page.chunks)) + 65536  # twice the samples, for writers that pad
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        stream = zlib.decompressobj()
        stream.decompress(data[offset : offset + count], size)
        if not stream.eof and stream.decompress(stream.unconsumed_tail, 1):
            raise Refusal("holds more compressed data than its size needs; save it again as PNG")


def _read_tiff_with_pillow(data: bytes, samples: int) -> Deep:
    """Decode LZW and other codecs for which tifffile needs imagecodecs: by libtiff, high and low bytes in turn."""
    stored = unrotated(data)  # Pillow would rotate the image, but the stored samples are needed
    if stored is None:
        raise Refusal("is a BigTIFF in a rare compression; save it uncompressed or with Deflate")
    halves = []
    for order in "LB" if sys.byteorder == "little" else "BL":  # libtiff returns samples in the machine's byte order
        picture = TiffImagePlugin.TiffImageFile(io.BytesIO(stored.removeprefix(PREFIX)))
        if samples > 1:
            tile: Any = picture.tile[0]
            raw, *rest = tile.args
            if tile.codec_name != "libtiff" or raw not in ("RGB;16N", "RGBA;16N"):
                raise Refusal("holds 16-bit samples in a rare arrangement; save it uncompressed or with Deflate")
            picture.tile = [tile._replace(args=(raw[:-1] + order, *rest))]
        picture.load()
        halves.append(np.asarray(picture))
    return _join_bytes(*halves) if samples > 1 else halves[0][..., None].astype(np.uint16)


def write_tiff(codes: Codes, icc: bytes | None, exif: bytes | None, dpi: tuple[float, float] | None) -> bytes:
    """Encode samples as TIFF of 8 or 16 bits, losslessly compressed (Deflate)."""
    import tifffile

    out = io.BytesIO()
    tifffile.imwrite(
        out,
        codes if codes.shape[2] > 1 else codes[..., 0],
        byteorder=byte_order(exif) if exif else "<",
        photometric="rgb" if codes.shape[2] > 2 else "minisblack",
        planarconfig="contig" if codes.shape[2] > 1 else None,
        extrasamples=["unassalpha"] if codes.shape[2] in (2, 4) else None,
        compression="zlib",
        predictor=True,
        resolution=dpi,
        resolutionunit="inch" if dpi else None,
        iccprofile=icc,
        metadata=None,
        software=False,
    )
    return add_exif_to_tiff(out.getvalue(), exif) if exif else out.getvalue()
