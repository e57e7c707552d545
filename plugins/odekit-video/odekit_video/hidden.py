"""See which part of a face something hides, in the frames in which the face was not found.

Whoever walks past somebody hides a half of the face, then all of it, then the other half. A detector finds no face
there, but what is seen of it must not change from restored to blurred and back. So it is restored at the place where it
was before and after, with the hidden part taken from a frame that shows it, and pasted only where it is seen.

That a face was lost may have other reasons: it left the picture, or turned. If what is seen at its place does not look
like the face, feature by feature, nothing is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.core.image import KnownFace, Pixels
from odekit.images.colour import luma
from odekit.parts.faces.geometry import Frame
from odekit.parts.faces.warp import crop_face
from odekit_video.average import REACH, FacePatch

SIDE = 64
"""Side of the aligned faces that are compared."""
COARSE = 2.5
"""Standard deviation in their pixels to which they are blurred: noise, blocks and the grain of a face do not count."""
SAME, OTHER = 0.05, 0.11
"""Largest difference of colour that the same place of a face shows, and the least of something else; between these it
counts in part."""
EDGE = 1.5
"""Standard deviation of the border between what is seen and what is hidden, in these pixels; it lies on the face."""
FINE, BROAD = 1.0, 6.0
"""Standard deviations between which lie the features that are compared: eyes, nose and mouth, not shades."""
ALIKE = 0.88
"""Least correlation of the features that are seen with those of a frame that shows the face: with a face that tilts by
10 degrees it is lower, and with what is seen in its place when it has left the picture."""
LEAST_FEATURES = 0.12
"""Least share of the features, in squares, that must be seen for that."""
INNER = slice(round(0.22 * SIDE), round(0.88 * SIDE)), slice(round(0.2 * SIDE), round(0.8 * SIDE))
"""Rows and columns of the face in the aligned picture, without hair and surroundings."""
BEHIND = 256
"""Side of the picture of a face that is taken for its hidden part."""
Map = NDArray[np.float32]
"""(SIDE, SIDE)."""
Planes = NDArray[np.float32]
"""(SIDE, SIDE, 3)."""


def with_visible(
    faces: Iterable[KnownFace], number: int, near: Mapping[int, Mapping[str, FacePatch]]
) -> tuple[KnownFace, ...]:
    """The faces of a frame, those that were not found in it with what is seen of them, or left out.

    Args:
        faces: of the frame.
        number: of the frame.
        near: faces of this frame and of others, by number and track.
    """
    out = []
    for face in faces:
        patch = near.get(number, {}).get(face.track)
        if patch is not None and not patch.found:
            numbers = [
                n
                for n, patches in sorted(near.items())
                if abs(n - number) <= REACH and face.track in patches and patches[face.track].found
            ]
            clear = [near[n][face.track] for n in numbers]
            seen = visible(patch, clear)
            if seen is None:
                continue
            nearest = clear[int(np.argmin([abs(n - number) for n in numbers]))]
            face = replace(face, visible=seen, behind=aligned(nearest, BEHIND))
        out.append(face)
    return tuple(out)


def visible(patch: FacePatch, clear: Iterable[FacePatch]) -> Map | None:
    """Weight of what is seen of a face, by patches of frames in which it was found.

    None if there are none, or if too little is seen or does not look like the face in any of them.
    """
    here, others = small(patch), [small(other) for other in clear]
    if not others:
        return None
    differences = [np.abs(blurred(other - here, COARSE)).max(2) for other in others]
    difference = np.median(differences, 0)  # in some of them, something hides the face, too
    seen = np.clip((OTHER - difference) / (OTHER - SAME), 0, 1).astype(np.float32)
    if not any(likeness(here, other, seen) >= ALIKE for other in others):
        return None
    return np.clip(2 * blurred(seen, EDGE) - 1, 0, 1)


def likeness(one: Planes, other: Planes, weight: Map) -> float:
    """Correlation of the features of two aligned faces where the weight says; 0 if that is too few of the other one."""
    a, b = (features(face)[INNER] for face in (one, other))
    w = weight[INNER]
    if (w * b * b).sum() < LEAST_FEATURES * (b * b).sum():
        return 0.0
    return float((w * a * b).sum() / np.sqrt(1e-12 + (w * a * a).sum() * (w * b * b).sum()))


def features(face: Planes) -> Map:
    """The luma of an aligned face between `FINE` and `BROAD`."""
    grey = luma(face.transpose(2, 0, 1))
    return blurred(grey, FINE) - blurred(grey, BROAD)


def small(patch: FacePatch) -> Planes:
    """The aligned face (SIDE, SIDE, 3)."""
    return np.ascontiguousarray(aligned(patch, SIDE).transpose(1, 2, 0))


def aligned(patch: FacePatch, side: int) -> Pixels:
    """The aligned face (3, side, side) of a patch."""
    frame = Frame(patch.frame.a, patch.frame.b, patch.frame.x - patch.left, patch.frame.y - patch.top)
    return crop_face(np.ascontiguousarray(patch.pixels.transpose(2, 0, 1)), frame, side)


def blurred(values: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Values (h, w) or (h, w, 3), blurred."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), deviation), np.float32)
