"""OpenCV's embedded cascades over a few copies of a photograph: many proposals, none of them trusted."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Pixels
from odekit.errors import PluginError
from odekit.images.colour import luma
from odekit.parts.faces.aligner import BOX, from_box
from odekit.parts.faces.geometry import Frame

Grey = NDArray[np.uint8]
"""(H, W)."""
SIDE_BOX = (0.628, 0.5234, 0.797)
"""Like `aligner.BOX`, for the profile cascade (a face that looks to the left of the picture)."""
TURN = math.radians(25)
STEP = 1.1
"""Ratio of one searched size to the next."""


@dataclass(frozen=True)
class Copy:
    """A grey copy of the photograph, and the way from its pixels back to the photograph's."""

    grey: Grey
    back: Frame
    """The photograph's place of the copy's unit square: `photo = back.place(copy)` for pixels of the copy."""


def eight_bit_luma(pixels: Pixels) -> Grey:
    """Grey as 8 bits, Rec. 601 weights."""
    grey: Grey = np.clip(luma(pixels) * 255 + 0.5, 0, 255).astype(np.uint8)
    return grey


def copies(pixels: Pixels, largest: int, turned: bool) -> Iterator[Copy]:
    """The photograph at its searched size, at half of it (which averages noise away), and that turned where asked."""
    cv = opencv()
    grey = eight_bit_luma(pixels)
    height, width = grey.shape
    scale = min(1.0, largest / max(height, width))
    for part in (scale, scale / 2):
        size = max(1, round(width * part)), max(1, round(height * part))
        small = cv.resize(grey, size, interpolation=cv.INTER_AREA) if part < 1 else grey
        yield Copy(small, Frame(width / size[0], 0.0, 0.0, 0.0))
    for angle in (-TURN, TURN) if turned else ():
        yield turn(small, angle, width / size[0])


def turn(grey: Grey, angle: float, scale: float) -> Copy:
    """A copy turned about its middle, large enough for all of it."""
    cv = opencv()
    height, width = grey.shape
    c, s = math.cos(angle), math.sin(angle)
    wide, high = math.ceil(abs(width * c) + abs(height * s)), math.ceil(abs(width * s) + abs(height * c))
    x, y = width / 2 - (c * wide - s * high) / 2, height / 2 - (s * wide + c * high) / 2
    matrix = np.array([[c, -s, x + (c - s) / 2 - 0.5], [s, c, y + (s + c) / 2 - 0.5]])
    flags = cv.INTER_LINEAR | cv.WARP_INVERSE_MAP
    out = cv.warpAffine(grey, matrix, (wide, high), flags=flags, borderMode=cv.BORDER_REPLICATE)
    return Copy(out, Frame(c * scale, s * scale, x * scale, y * scale))


def proposals(copy: Copy, smallest: float, neighbours: int = 1) -> list[Frame]:
    """Frames, in the photograph, that the frontal and the profile cascades propose in one copy."""
    found = []
    least = max(12, round(smallest / copy.back.side))
    mirrored = np.ascontiguousarray(copy.grey[:, ::-1])
    width = copy.grey.shape[1]
    if min(copy.grey.shape) < least:
        return []
    for box in boxes("haarcascade_frontalface_alt2", copy.grey, least, neighbours):
        found.append(from_box(box, BOX))
    for box in boxes("haarcascade_profileface", copy.grey, least, neighbours):
        found.append(from_box(box, SIDE_BOX))
    for x0, y0, x1, y1 in boxes("haarcascade_profileface", mirrored, least, neighbours):
        found.append(from_box((width - x1, y0, width - x0, y1), (1 - SIDE_BOX[0], *SIDE_BOX[1:])))
    return [copy.back.then(frame) for frame in found]


def boxes(name: str, grey: Grey, least: int, neighbours: int) -> list[tuple[float, float, float, float]]:
    """x0, y0, x1, y1 of what a cascade finds, in the copy's pixels."""
    found = cascade(name).detectMultiScale(grey, STEP, neighbours, minSize=(least, least))
    return [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in found]


@functools.cache
def cascade(name: str) -> Any:
    """A cascade that comes in OpenCV's wheel."""
    cv = opencv()
    found = cv.CascadeClassifier(str(Path(cv.data.haarcascades) / f"{name}.xml"))
    if found.empty():
        raise PluginError(f"OpenCV lacks the cascade {name}; pip install --force-reinstall 'opencv-python-headless<5'")
    return found


@functools.cache
def opencv() -> Any:
    """OpenCV 4, held to one thread so that results do not depend on their number.

    Raises:
        PluginError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise PluginError(
            f"the built-in face detector needs OpenCV ({error}); pip install 'odekit[photos]', or give boxes "
            "(faces.select.boxes), or install odekit-facexlib and set faces.detect to retinaface"
        ) from error
    return cv2
