"""Face proposals from OpenCV's Haar cascades on scaled and rotated copies of a photograph; most are false."""

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
from odekit.parts.faces.aligner import FRONTAL_BOX, frame_from_box
from odekit.parts.faces.geometry import Frame

Grey = NDArray[np.uint8]
"""(H, W)."""
PROFILE_BOX = (0.628, 0.5234, 0.797)
"""Like `aligner.FRONTAL_BOX`, for the profile cascade (a face looking to the left of the picture)."""
ROTATION = math.radians(25)
"""Rotation of the rotated copies."""
SCALE_STEP = 1.1
"""Ratio between consecutive search sizes."""


@dataclass(frozen=True)
class SearchImage:
    """A grey copy of the photograph, with the transform back to the photograph's coordinates."""

    grey: Grey
    back: Frame
    """Maps pixels of the copy to pixels of the photograph: `photo = back.place(copy)`."""


def eight_bit_luma(pixels: Pixels) -> Grey:
    """Luma with 8 bits, BT.601 weights."""
    grey: Grey = np.clip(luma(pixels) * 255 + 0.5, 0, 255).astype(np.uint8)
    return grey


def search_images(pixels: Pixels, largest: int, turned: bool) -> Iterator[SearchImage]:
    """Copies to search: at the search size, at half of it (which averages out noise), and the latter rotated.

    Args:
        pixels: the photograph, (3, H, W).
        largest: greatest side of the first copy.
        turned: add the copies rotated by `ROTATION` in both directions.
    """
    cv = import_opencv()
    grey = eight_bit_luma(pixels)
    height, width = grey.shape
    scale = min(1.0, largest / max(height, width))
    for factor in (scale, scale / 2):
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv.resize(grey, size, interpolation=cv.INTER_AREA) if factor < 1 else grey
        yield SearchImage(small, Frame(width / size[0], 0.0, 0.0, 0.0))
    for angle in (-ROTATION, ROTATION) if turned else ():
        yield rotate(small, angle, width / size[0])


def rotate(grey: Grey, angle: float, scale: float) -> SearchImage:
    """A copy rotated about its centre, enlarged so that no part is cut off."""
    cv = import_opencv()
    height, width = grey.shape
    c, s = math.cos(angle), math.sin(angle)
    new_width, new_height = math.ceil(abs(width * c) + abs(height * s)), math.ceil(abs(width * s) + abs(height * c))
    x, y = width / 2 - (c * new_width - s * new_height) / 2, height / 2 - (s * new_width + c * new_height) / 2
    matrix = np.array([[c, -s, x + (c - s) / 2 - 0.5], [s, c, y + (s + c) / 2 - 0.5]])
    flags = cv.INTER_LINEAR | cv.WARP_INVERSE_MAP
    rotated = cv.warpAffine(grey, matrix, (new_width, new_height), flags=flags, borderMode=cv.BORDER_REPLICATE)
    return SearchImage(rotated, Frame(c * scale, s * scale, x * scale, y * scale))


def proposals(copy: SearchImage, smallest: float, neighbours: int = 1) -> list[Frame]:
    """Proposals of the frontal and the profile cascades in one copy, as frames of the photograph."""
    frames = []
    least = max(12, round(smallest / copy.back.side))
    mirrored = np.ascontiguousarray(copy.grey[:, ::-1])
    width = copy.grey.shape[1]
    if min(copy.grey.shape) < least:
        return []
    for box in detect_boxes("haarcascade_frontalface_alt2", copy.grey, least, neighbours):
        frames.append(frame_from_box(box, FRONTAL_BOX))
    for box in detect_boxes("haarcascade_profileface", copy.grey, least, neighbours):
        frames.append(frame_from_box(box, PROFILE_BOX))
    for x0, y0, x1, y1 in detect_boxes("haarcascade_profileface", mirrored, least, neighbours):
        frames.append(frame_from_box((width - x1, y0, width - x0, y1), (1 - PROFILE_BOX[0], *PROFILE_BOX[1:])))
    return [copy.back.compose(frame) for frame in frames]


def detect_boxes(name: str, grey: Grey, least: int, neighbours: int) -> list[tuple[float, float, float, float]]:
    """Detections of a cascade as (x0, y0, x1, y1), in pixels of the copy."""
    detections = load_cascade(name).detectMultiScale(grey, SCALE_STEP, neighbours, minSize=(least, least))
    return [(float(x), float(y), float(x + w), float(y + h)) for x, y, w, h in detections]


@functools.cache
def load_cascade(name: str) -> Any:
    """Load a cascade from OpenCV's wheel."""
    cv = import_opencv()
    classifier = cv.CascadeClassifier(str(Path(cv.data.haarcascades) / f"{name}.xml"))
    if classifier.empty():
        raise PluginError(f"OpenCV lacks the cascade {name}; pip install --force-reinstall 'opencv-python-headless<5'")
    return classifier


@functools.cache
def import_opencv() -> Any:
    """The OpenCV module.

    Raises:
        PluginError: OpenCV is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise PluginError(
            f"the built-in face detector needs OpenCV ({error}); pip install 'odekit[photos]', or give boxes "
            "(faces.select.boxes), or install odekit-facexlib and set faces.detect to retinaface"
        ) from error
    return cv2
