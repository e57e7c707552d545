"""Position of an aligned face in a photograph: the five-point template, and similarity transforms.

Points are (x, y) in pixels, x to the right, y down. The origin is the corner of the picture: the centre of its first
pixel is (0.5, 0.5). Points of a template are fractions of the aligned crop's side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from odekit.images.face_template import FFHQ_5

Points = NDArray[np.float64]
"""(N, 2)."""

TEMPLATES: dict[str, Points] = {"ffhq-5": FFHQ_5}
"""Points of aligned faces by the name of the alignment; `face64` is trained on `ffhq-5`."""


def pixel_centres(width: int, height: int) -> tuple[Points, Points]:
    """Pixel centres (u, v) of a picture, as fractions of width and height: two (height, width) arrays."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return u, v


@dataclass(frozen=True)
class Frame:
    """Similarity transform from an aligned crop to a photograph: `photo = [[a, -b], [b, a]] @ fraction + (x, y)`.

    `fraction` is a point of the crop in [0, 1]; a and b are `side * cos(angle)` and `side * sin(angle)`.
    """

    a: float
    b: float
    x: float
    y: float

    @classmethod
    def from_centre(cls, centre: tuple[float, float], side: float, angle: float = 0.0) -> Frame:
        """A square of this side (pixels) around a centre, rotated clockwise by `angle` (radians)."""
        a, b = side * math.cos(angle), side * math.sin(angle)
        return cls(a, b, centre[0] - (a - b) / 2, centre[1] - (a + b) / 2)

    @classmethod
    def fit(cls, points: Sequence[Sequence[float]] | Points, template: Points) -> Frame:
        """The frame that maps the template to the points with the least squared error, without reflection.

        The closed form of Umeyama (1991, doi:10.1109/34.88573) in two dimensions, where a similarity is one complex
        factor: `factor = sum conj(q) p / sum |q|^2` of the centred points.
        """
        p, q = np.asarray(points, dtype=np.float64), template
        mean_p, mean_q = p.mean(0), q.mean(0)
        z, w = (((v - m) @ np.array([1, 1j])) for v, m in ((p, mean_p), (q, mean_q)))
        factor = complex((np.conj(w) * z).sum() / (np.abs(w) ** 2).sum())
        a, b = factor.real, factor.imag
        x, y = mean_p - np.array([[a, -b], [b, a]]) @ mean_q
        return cls(a, b, float(x), float(y))

    @property
    def side(self) -> float:
        """Side of the square, in pixels of the photograph."""
        return math.hypot(self.a, self.b)

    @property
    def angle(self) -> float:
        """Clockwise rotation in radians."""
        return math.atan2(self.b, self.a)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the square, in pixels of the photograph."""
        x, y = self.place(np.array([[0.5, 0.5]]))[0]
        return float(x), float(y)

    def place(self, fractions: Points) -> Points:
        """Map points of the crop (fractions of its side) to the photograph."""
        points: Points = np.asarray(fractions) @ np.array([[self.a, self.b], [-self.b, self.a]])
        points += np.array([self.x, self.y])
        return points

    def find(self, points: Points) -> Points:
        """Map points of the photograph to the crop (fractions of its side): the inverse of `place`."""
        inverse = np.array([[self.a, -self.b], [self.b, self.a]]) / self.side**2
        fractions: Points = (np.asarray(points) - np.array([self.x, self.y])) @ inverse
        return fractions

    def compose(self, inner: Frame) -> Frame:
        """Compose two frames: `inner`, in fractions of this crop, as a frame of the photograph."""
        factor = complex(self.a, self.b) * complex(inner.a, inner.b)
        x, y = self.place(np.array([[inner.x, inner.y]]))[0]
        return Frame(factor.real, factor.imag, float(x), float(y))

    def box(self) -> tuple[float, float, float, float]:
        """The axis-aligned box around the four corners: x0, y0, x1, y1."""
        corners = self.place(np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]]))
        (x0, y0), (x1, y1) = corners.min(0), corners.max(0)
        return float(x0), float(y0), float(x1), float(y1)
