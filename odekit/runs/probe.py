"""What is asked about a file before it is read: how many pixels it has, and whether it needs a process of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass

from odekit.core.files import open_regular
from odekit.errors import OdekitError
from odekit.images.formats.deep import Refusal
from odekit.images.formats.header import read_size
from odekit.images.formats.kind import kind_of

MIN_PROBED_BYTES = 1 << 16
"""Smaller files, in bytes, count as 0 pixels: a file of 24 megapixels in a single colour, written by Pillow, is
larger."""
ISOLATED = ("HEIF", "AVIF")
"""Formats that are decoded in a process of their own in every run: video decoders, the largest of all."""


@dataclass(frozen=True)
class Probe:
    """What the first bytes of a file tell."""

    pixels: int = 0
    """Width times height; 0 for small files and for files that cannot be read."""
    isolate: bool = False
    """Decode it in a worker process, even if the run uses none."""


def probe(file: str) -> Probe:
    """Read the header of a file. Only numbers at fixed places are read, no decoder is involved; raises nothing."""
    try:
        with os.fdopen(open_regular(file), "rb") as stream:
            try:
                isolate = kind_of(stream.read(512)) in ISOLATED
            except Refusal:
                return Probe()
            if os.fstat(stream.fileno()).st_size < MIN_PROBED_BYTES:
                return Probe(0, isolate)
            stream.seek(0)
            width, height = read_size(stream)
            return Probe(width * height, isolate)
    except (OSError, ValueError, OdekitError):
        return Probe()
