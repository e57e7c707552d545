"""Masks `ellipse` and `square`: which region of an aligned face is pasted (`odekit.core.interfaces.FaceMask`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.parts.faces.geometry import pixel_centres

DEFAULT_FEATHER = 0.08
CENTRE = (0.502, 0.545)
RADII = (0.335, 0.425)
"""Centre and radii of the ellipse in fractions of the crop: from above the brows to below the chin, ear to ear. The
soft edge lies inside."""


class Ellipse(Options):
    """Options of the mask `ellipse`."""

    part = "ellipse"


class Square(Options):
    """Options of the mask `square`."""

    part = "square"


class EllipseMask:
    """An ellipse around the face of the template."""

    def __init__(self, options: Ellipse | None = None, tools: Tools | None = None) -> None:
        """Nothing to load."""

    def at(self, u: NDArray[np.float64], v: NDArray[np.float64], feather: float) -> NDArray[np.float32]:
        """The mask at fractions (u, v) of the crop: 1 inside, 0 outside the ellipse, a soft edge `feather` wide."""
        radius = np.hypot((u - CENTRE[0]) / RADII[0], (v - CENTRE[1]) / RADII[1])
        return smoothstep((1 - radius) * min(RADII) / feather)

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """The mask of a face (H, W), with the default soft edge."""
        return self.at(*pixel_centres(face.width, face.height), DEFAULT_FEATHER)


class SquareMask:
    """The whole crop, with a soft edge at its border."""

    def __init__(self, options: Square | None = None, tools: Tools | None = None) -> None:
        """Nothing to load."""

    def at(self, u: NDArray[np.float64], v: NDArray[np.float64], feather: float) -> NDArray[np.float32]:
        """The mask at fractions (u, v) of the crop: 1 inside, 0 at its border, a soft edge `feather` wide."""
        return smoothstep(np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) / feather)

    def __call__(self, face: Image) -> NDArray[np.float32]:
        """The mask of a face (H, W), with the default soft edge."""
        return self.at(*pixel_centres(face.width, face.height), DEFAULT_FEATHER)


def smoothstep(t: NDArray[np.float64]) -> NDArray[np.float32]:
    """Smoothstep: 0 below 0, 1 above 1, and 3 t^2 - 2 t^3 between."""
    t = np.clip(t, 0.0, 1.0)
    out: NDArray[np.float32] = (t * t * (3 - 2 * t)).astype(np.float32)
    return out
