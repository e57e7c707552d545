"""Large objects of one colour in front of an aligned face: white strokes, a corner torn off.

A prior of faces takes a smooth white area for a part of the picture. What gives it away is that its values are exactly
equal and at the end of their range, and that the face drawn behind it from its surroundings is far from it. Too much
light makes such areas, too, and too little of it black ones; but light falls off, so that around them single channels
are still at the end of their range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.images.resize import area_resize_image

Mask = NDArray[np.bool_]
"""(H, W)."""
SEARCHED_SIDE = 256
"""Larger faces are searched at this side; edges of an area are then mixed with their surroundings by 2 px at most."""
SATURATED = 3 / 255
"""Largest distance of each channel from 0 or 1."""
CONSTANT = 4 / 255
"""Largest difference within 3 x 3 pixels. JPEG of quality 75 keeps the inside of white strokes within 2 levels."""
BLACK = 0.1
"""Up to this mean an area counts as black; then it must touch the border, as a torn corner does: spectacles for the
sun are black, and belong to the person."""
CENTRE, AXES = (0.56, 0.5), (0.34, 0.26)
"""The ellipse of the face in an aligned picture, down and right, as fractions of the side."""
SMALLEST = 0.03
"""Smallest part of this ellipse that an area covers."""
AROUND = (2, 7)
"""From and to where the surroundings of an area are looked at, in pixels of the side at which it is searched."""
LIGHT = 0.25
"""Share of the surroundings with a channel at the same end of its range from which an area is a matter of light. Faces
under 1.5 to 2.2 times their light have 0.48 to 1, faces with paint over them and torn ones 0 to 0.01."""
DARK = 0.05
"""Share of all other pixels with a channel at zero from which a black area is a dark part of a dark picture, such as
hair before a bright sky, around which light does not fall off. A portrait has 0.01, a dark one 0.2."""
COVERED = 0.02
"""Covered part of a small pixel from which it counts as hidden."""
FILL_VARIANCE = 0.07
"""Variance of a face around one drawn in a hole, in model space ([-1, 1]): twice the mean square of the error that
`blind` makes behind strokes inside the ellipse, 0.035 on 16 validation faces, at most 0.076 on one. White is 0.4 to 1.6
from these faces."""
UNIFORM = 0.5
"""Density of a value in [-1, 1] that says nothing."""


@dataclass(frozen=True)
class Area:
    """A connected area that may hide a part of the face, at the side of the prior."""

    hidden: Mask
    """(side, side): what it covers, edges included."""
    face: Mask
    """(side, side): its part inside the ellipse of the face."""


def candidate_areas(image: Image, side: int) -> list[Area]:
    """Connected areas of equal, saturated values that cover a part of the face.

    Args:
        image: an aligned face of any size.
        side: of the masks.
    """
    if image.width > SEARCHED_SIDE:
        image = area_resize_image(image, SEARCHED_SIDE, SEARCHED_SIDE)
    flat = constant_saturated(image.pixels)
    if flat[ellipse(*flat.shape)].mean() < SMALLEST:
        return []
    from scipy.ndimage import binary_dilation, label

    labels, count = label(flat)
    out = []
    for number in range(1, count + 1):
        area: Mask = labels == number
        inside = ellipse(*area.shape)
        if area[inside].mean() < SMALLEST:
            continue
        values = image.pixels[:, area]
        if (values.mean() <= BLACK and not touches_border(area)) or is_light(image.pixels, area, flat):
            continue
        grown = binary_dilation(area, iterations=max(1, round(area.shape[0] / 64)))
        hidden = covered(grown, side) > COVERED
        out.append(Area(hidden, (covered(area, side) > 1 - COVERED) & ellipse(side, side)))
    return [area for area in out if area.face.any()]


def is_light(pixels: Pixels, area: Mask, flat: Mask) -> bool:
    """Whether an area of a picture (3, H, W) is what too much or too little light made of the face, or of a wall.

    `flat`: all pixels that are saturated and equal to their neighbours.
    """
    from scipy.ndimage import binary_dilation

    near, far = (binary_dilation(area, iterations=distance) for distance in AROUND)
    around = far & ~near & ~flat
    end = np.rint(pixels[:, area].mean(1))[:, None]  # of the range of each channel
    same = (np.abs(pixels[:, around] - end) <= SATURATED).any(0)
    if around.any() and same.mean() >= LIGHT:
        return True
    return not end.any() and bool((pixels[:, ~flat] <= SATURATED).any(0).mean() >= DARK)


def constant_saturated(pixels: Pixels) -> Mask:
    """Where a picture (3, H, W) is saturated and equal to its neighbours."""
    saturated: Mask = np.asarray((np.minimum(pixels, 1 - pixels) <= SATURATED).all(axis=0))
    if not saturated.any():
        return saturated
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), mode="edge")
    spread = extreme(np.maximum, padded) - extreme(np.minimum, padded)
    out: Mask = np.asarray((spread <= CONSTANT).all(axis=0) & saturated)
    return out


def extreme(function: np.ufunc, padded: Pixels) -> Pixels:
    """The largest or smallest value of 3 x 3 neighbours, of planes (C, H + 2, W + 2): (C, H, W)."""
    rows = function(function(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    out: Pixels = function(function(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])
    return out


def accepted(area: Area, observed: Pixels, filled: Pixels) -> bool:
    """Whether what was observed in an area is likelier as rubbish than as the face that was drawn there.

    The mean log density of the observed values under N(filled, FILL_VARIANCE) is compared with that of uniform values.

    Args:
        area: the area.
        observed: (3, side, side) in [0, 1].
        filled: (3, side, side) in [0, 1], drawn from the surroundings of the area alone.
    """
    squares = (2 * (observed - filled)[:, area.face].astype(np.float64)) ** 2
    sound = -squares.mean() / (2 * FILL_VARIANCE) - 0.5 * np.log(2 * np.pi * FILL_VARIANCE)
    return bool(sound < np.log(UNIFORM))


def ellipse(height: int, width: int) -> Mask:
    """Where an aligned picture shows the face."""
    y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    out: Mask = ((y[:, None] - CENTRE[0]) / AXES[0]) ** 2 + ((x[None] - CENTRE[1]) / AXES[1]) ** 2 <= 1
    return out


def touches_border(area: Mask) -> bool:
    """Whether an area reaches the border of its picture."""
    return bool(area[0].any() or area[-1].any() or area[:, 0].any() or area[:, -1].any())


def covered(area: Mask, side: int) -> NDArray[np.float32]:
    """Covered part of each pixel of a picture of this side."""
    plane = np.repeat(area[None].astype(np.float32), 3, axis=0)
    part: NDArray[np.float32] = area_resize_image(Image(plane), side, side).pixels[0]
    return part
