"""Average a face over neighbouring frames before the chain sees it, so that its noise does not flicker.

What a chain makes of a face follows the noise of each frame, and sharpens it. So the face is moved from each frame
nearby onto its place in this one, as the followed points say, and counts there where it shows the same: where the two
differ little more than this frame and the next one do, and not in colour. Noise differs as much from one frame to the
next as to any other, and what moves does not. Where frames differ by far more than in the quiet parts of the face, the
frame's own pixels stay.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.core.image import KnownFace, Pixels
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.warp import covered_box

REACH = 12
"""Frames on each side that are averaged: the noise of a still face falls to a fifth."""
WINDOW, WIDE = 7, 15
"""Sides of the windows over which squared differences of two frames are averaged, in pixels: of any two, and of this
frame and the next or the last one."""
QUIET = 0.3
"""Quantile of the differences over the face that is taken for that of the noise alone, in its quiet parts."""
LOUD = 8.0
"""Largest difference by noise over that: noise of JPEG and of video codecs is stronger beside edges."""
SAME = 3.0
"""Difference over that of the noise up to which a place shows the same; beyond, it counts less and less."""
LEAST_NOISE = (0.5 / 255) ** 2
"""Smallest squared difference of the noise: that of rounded values."""
COLOUR, OTHER_COLOUR = 0.04, 0.08
"""Difference of a channel's mean over the wide window up to which two frames show the same, and from which something
else: noise has no such, and what passes in front of a face does."""
COARSER = 4
"""Means of colours are taken of pictures that are smaller by this factor."""
STILL = 0.05
"""A face that moved by no more, in pixels, is not resampled."""
FEATHER = 0.08
"""Width of the border on which the mean goes over into the frame, in sides of the aligned face."""
Planes = NDArray[np.float32]


@dataclass(frozen=True)
class FacePatch:
    """The surroundings of a face in one frame."""

    frame: Frame
    """Where the aligned face lies in the picture."""
    left: int
    top: int
    pixels: Planes
    """(h, w, 3)"""
    found: bool = True
    """Whether the face was found in this frame; something may hide it in others."""


def treated(face: KnownFace) -> bool:
    """Whether anything may be done with a face."""
    return face.decided.get("restore") is not False or face.decided.get("detail") is not False


def patches_of(pixels: Pixels, faces: Iterable[KnownFace], lost: Container[str] = ()) -> dict[str, FacePatch]:
    """The surroundings of the faces of a frame (3, H, W) that may be treated, by track.

    Args:
        pixels: of the frame.
        faces: of the frame.
        lost: tracks whose face was not found in it.
    """
    out = {}
    for face in faces:
        if treated(face):
            frame = Frame.fit(face.points, TEMPLATES["ffhq-5"])
            x0, y0, x1, y1 = covered_box(frame, pixels.shape[2], pixels.shape[1])
            part = np.ascontiguousarray(pixels[:, y0:y1, x0:x1].transpose(1, 2, 0))
            out[face.track] = FacePatch(frame, x0, y0, part, face.track not in lost)
    return out


def averaged(
    pixels: Pixels, number: int, near: Mapping[int, Mapping[str, FacePatch]], faces: Iterable[KnownFace] | None = None
) -> Pixels:
    """The pixels (3, H, W) of a frame with its faces averaged over those near it; the same array where none is.

    Args:
        pixels: of the frame.
        number: of the frame.
        near: faces of this frame and of others, by number and track.
        faces: those of this frame that are averaged; None: all.
    """
    out = pixels
    tracks = None if faces is None else {face.track for face in faces}
    for track, patch in near.get(number, {}).items():
        if tracks is not None and track not in tracks:
            continue
        others = {
            n - number: patches[track]
            for n, patches in near.items()
            if n != number and track in patches and patches[track].found
        }
        if others:
            out = pixels.copy() if out is pixels else out
            height, width = patch.pixels.shape[:2]
            place = np.s_[:, patch.top : patch.top + height, patch.left : patch.left + width]
            change = border_weight(patch)[..., None] * (mean_of(patch, others) - patch.pixels)
            out[place] = np.clip(out[place] + change.transpose(2, 0, 1), 0, 1)
    return out


def mean_of(patch: FacePatch, others: Mapping[int, FacePatch]) -> Planes:
    """The mean (h, w, 3) of a face and of those that show the same; these by their distance in frames."""
    moved = {distance: onto(other, patch) for distance, other in others.items()}
    unlike = {distance: box_mean(np.square(patch.pixels - other).mean(2), WINDOW) for distance, other in moved.items()}
    nearest = sorted(unlike, key=abs)[:2]
    noise = box_mean(np.minimum.reduce([unlike[distance] for distance in nearest]), WIDE)
    quiet = max(LEAST_NOISE, float(np.quantile(noise[::4, ::4], QUIET)))
    noise = np.clip(noise, quiet, LOUD * quiet)
    total, weights = patch.pixels.copy(), np.ones(noise.shape, np.float32)
    for distance, other in moved.items():
        weight = alike(patch.pixels - other) * np.exp(np.minimum(0, np.float32(SAME) - unlike[distance] / noise))
        total += weight[..., None] * other
        weights += weight
    mean: Planes = total / weights[..., None]
    return mean


def alike(difference: Planes) -> Planes:
    """Weight (h, w) of what does not differ (h, w, 3) in colour, measured at a quarter of the size."""
    height, width = difference.shape[:2]
    size = max(1, width // COARSER), max(1, height // COARSER)
    small = np.asarray(cv2.resize(difference, size, interpolation=cv2.INTER_AREA), np.float32)
    colour = np.abs(box_mean(small, WIDE // COARSER)).max(2)
    weight = np.clip((OTHER_COLOUR - colour) / (OTHER_COLOUR - COLOUR), 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(weight, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def onto(other: FacePatch, patch: FacePatch) -> Planes:
    """Another frame's face at the place and in the size of a patch."""
    height, width = patch.pixels.shape[:2]
    corners = np.array([[0.0, 0.0], [width, 0], [0, height]])
    place, from_place = (np.array([one.left, one.top]) for one in (patch, other))
    there = other.frame.place(patch.frame.find(corners + place)) - from_place
    if other.pixels.shape == patch.pixels.shape and np.abs(there - corners).max() <= STILL:
        return other.pixels
    matrix = cv2.getAffineTransform((corners - 0.5).astype(np.float32), (there - 0.5).astype(np.float32))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(other.pixels, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.float32)


def box_mean(values: Planes, side: int) -> Planes:
    """Means (h, w) or (h, w, 3) over a window around each pixel."""
    return np.asarray(cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def border_weight(patch: FacePatch) -> Planes:
    """Weight (h, w) that falls to 0 at the border of a patch."""
    reach = max(1.0, FEATHER * patch.frame.side)
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) / reach for n in patch.pixels.shape[:2])
    weight: Planes = np.minimum(1, np.minimum(rows[:, None], columns)).astype(np.float32)
    return weight
