"""See which part of a face something hides, in the frames in which the face was not found.

Whoever walks past somebody hides a half of the face, then all of it, then the other half. A detector finds no face
there, but what is seen of it must not change from restored to blurred and back. So it is restored at the place where it
was before and after, and only where the frame looks as it does there: detail of a face that is not seen would be drawn
on whatever hides it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from odekit.core.image import KnownFace
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
Map = NDArray[np.float32]
"""(SIDE, SIDE)."""


def with_visible(
    faces: Iterable[KnownFace], number: int, near: Mapping[int, Mapping[str, FacePatch]]
) -> tuple[KnownFace, ...]:
    """The faces of a frame, those that were not found in it with what is seen of them.

    Args:
        faces: of the frame.
        number: of the frame.
        near: faces of this frame and of others, by number and track.
    """
    out = []
    for face in faces:
        patch = near.get(number, {}).get(face.track)
        if patch is not None and not patch.found:
            clear = [
                patches[face.track]
                for n, patches in sorted(near.items())
                if abs(n - number) <= REACH and face.track in patches and patches[face.track].found
            ]
            face = replace(face, visible=visible(patch, clear))
        out.append(face)
    return tuple(out)


def visible(patch: FacePatch, clear: Iterable[FacePatch]) -> Map:
    """Weight of what is seen of a face, by patches of frames in which it was found; 0 everywhere if there are none."""
    here = coarse(patch)
    differences = [np.abs(coarse(other) - here).max(2) for other in clear]
    if not differences:
        return np.zeros((SIDE, SIDE), np.float32)
    difference = np.median(differences, 0)  # in some of them, something hides the face, too
    seen = np.clip((OTHER - difference) / (OTHER - SAME), 0, 1).astype(np.float32)
    soft = cv2.GaussianBlur(seen, (0, 0), EDGE)
    return np.clip(2 * np.asarray(soft, np.float32) - 1, 0, 1)


def coarse(patch: FacePatch) -> NDArray[np.float32]:
    """The aligned face (SIDE, SIDE, 3), blurred."""
    frame = Frame(patch.frame.a, patch.frame.b, patch.frame.x - patch.left, patch.frame.y - patch.top)
    aligned = crop_face(np.ascontiguousarray(patch.pixels.transpose(2, 0, 1)), frame, SIDE)
    blurred = cv2.GaussianBlur(np.ascontiguousarray(aligned.transpose(1, 2, 0)), (0, 0), COARSE)
    return np.asarray(blurred, np.float32)
