"""Strips of a 16-bit TIFF whose data cost far more than their samples: shared by all strips, or inflating to more."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tifffile
from hostile_structures import directory

from odekit.images.formats.decode import decode
from odekit.images.formats.deep import Refusal


def tiff(rows, stream, copies):
    """A grey 16-bit TIFF, 8 pixels wide, with one strip a row, whose data are `copies` of a stream, in turn."""
    data = stream * copies
    start = 8 + len(data)

    def entries(behind):
        return [
            (256, 4, 1, 8), (257, 4, 1, rows), (258, 3, 1, 16), (259, 3, 1, 8), (262, 3, 1, 1), (273, 4, rows, behind),
            (277, 3, 1, 1), (278, 4, 1, 1), (279, 4, rows, behind + 4 * rows),
        ]  # fmt: skip

    behind = start + len(directory(entries(0)))
    offsets = [8 + len(stream) * (row % copies) for row in range(rows)]
    numbers = struct.pack(f"<{rows}I", *offsets) + struct.pack(f"<{rows}I", *[len(stream)] * rows)
    return b"II*\x00" + struct.pack("<I", start) + data + directory(entries(behind)) + numbers


@pytest.mark.parametrize(
    ("copies", "reason"), [(1, "names the same data many times"), (200, "more compressed data than its size needs")]
)
def test_strips_that_inflate_to_gigabytes_are_refused_at_once(copies, reason):
    """200 strips of 20 MB took as long as 4 GB take."""
    started = time.process_time()
    with pytest.raises(Refusal, match=reason):
        decode(tiff(200, zlib.compress(bytes(20_000_000), 9), copies), 100)
    assert time.process_time() - started < 1.0


def test_millions_of_strips_are_refused_before_they_are_listed():
    started = time.process_time()
    with pytest.raises(Refusal, match="has 1000000 strips or tiles"):
        decode(tiff(1_000_000, zlib.compress(bytes(16)), 1), 100)
    assert time.process_time() - started < 5.0


def test_strips_of_their_size_are_read():
    rows = np.arange(8, dtype="<u2")
    codes = decode(tiff(300, zlib.compress(rows.tobytes()), 300), 100).codes
    assert (codes[..., 0] == rows).all()


@pytest.mark.parametrize(
    "layout", [{"rowsperstrip": 17}, {"tile": (64, 64)}, {"predictor": True}, {"planarconfig": "separate"}], ids=str
)
def test_sound_files_of_every_layout_are_read_exactly(layout):
    codes = np.random.Generator(np.random.Philox(1)).integers(0, 65536, (133, 97, 3), dtype=np.uint16)
    stored = codes.transpose(2, 0, 1) if "planarconfig" in layout else codes
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, stored, compression="zlib", photometric="rgb", **layout)
    assert (decode(buffer.getvalue(), 100).codes == codes).all()
