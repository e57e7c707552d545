"""Drawn content without any scratch: overlapping shapes of all sizes, as in a crowd, cloth, hands and leaves.

The dead leaves model: shapes that hide each other, with radii r of density 1 / r^3, have the statistics of edges and
sizes of photographs (A. Lee, D. Mumford and J. Huang, "Occlusion models for natural images", IJCV 41, 2001).
"""

from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

SUPERSAMPLING = 2
"""Shapes are drawn this many times larger and reduced, for soft edges."""
SMALLEST = 4.0
"""Smallest radius of a shape, in pixels."""


def dead_leaves(size: int, rng: np.random.Generator, palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture (size, size, 3) of shapes with the colours of another picture (H, W, 3)."""
    side = size * SUPERSAMPLING
    plane = PIL.Image.new("I", (side, side))
    draw = PIL.ImageDraw.Draw(plane)
    count = int(np.exp(rng.uniform(np.log(40), np.log(500))))
    largest = size * rng.uniform(0.15, 0.8)
    low = 1 - (SMALLEST / largest) ** 2
    radii = SMALLEST / np.sqrt(1 - low * rng.random(count))
    for label, radius in enumerate(np.where(np.arange(count) < 12, np.maximum(radii, size / 6), radii), 1):
        draw_shape(draw, rng, float(radius) * SUPERSAMPLING, side, label)
    labels = np.asarray(plane)
    rows, columns = (rng.integers(0, n, count + 1) for n in palette.shape[:2])
    colours = palette[rows, columns].astype(np.float32)
    picture = colours[labels] + 255 * shading(labels, count, rng)[..., None]
    reduced = picture.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, 3).mean((1, 3))
    out: NDArray[np.uint8] = np.clip(reduced, 0, 255).round().astype(np.uint8)
    return out


def draw_shape(draw: PIL.ImageDraw.ImageDraw, rng: np.random.Generator, radius: float, side: int, label: int) -> None:
    """An ellipse, a polygon, a wedge (a tie, a lapel) or a limb (an arm, a finger) at a random place."""
    centre, angle = rng.uniform(-0.1, 1.1, 2) * side, rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = float(np.exp(rng.normal(0, 0.5)))
    kind = rng.random()
    if kind < 0.35:
        corners = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        outline = np.stack([np.cos(corners) * stretch, np.sin(corners) / stretch], 1)
    elif kind < 0.6:
        corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
        outline = np.stack([np.cos(corners) * stretch, np.sin(corners) / stretch], 1)
        outline *= np.exp(rng.normal(0, 0.25, (len(corners), 1)))
    elif kind < 0.8:
        length, width = rng.uniform(1, 3), rng.uniform(0.25, 0.7)
        outline = np.array([[-length, -width * rng.random()], [length, -width], [length, width], [-length, 0]])
    else:
        bend, length, width = rng.normal(0, 0.5), rng.uniform(1, 3), rng.uniform(0.25, 0.6)
        x = np.linspace(-length, length, 12)
        y = bend * (x / length) ** 2
        outline = np.concatenate([np.stack([x, y - width], 1), np.stack([x, y + width], 1)[::-1]])
    points = (outline @ turn.T) * radius + centre
    draw.polygon([(float(x), float(y)) for x, y in points], fill=label)


def shading(labels: NDArray[np.int32], count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light on each shape (H, W): a gradient, folds on a third of the shapes, and grain on a fifth."""
    side = len(labels)
    y, x = (axis.astype(np.float32) / side for axis in np.mgrid[:side, :side])
    slopes = rng.normal(0, 0.3, (2, count + 1)).astype(np.float32)
    out = slopes[0][labels] * (x - 0.5) + slopes[1][labels] * (y - 0.5)
    waves = rng.normal(0, 60, (2, count + 1)).astype(np.float32)
    height = np.where(rng.random(count + 1) < 0.33, np.abs(rng.normal(0, 0.08, count + 1)), 0).astype(np.float32)
    warp = np.float32(0.05) * np.sin(rng.uniform(5, 15) * x + rng.uniform(0, 6)) * np.cos(rng.uniform(5, 15) * y)
    fold = np.sin(waves[0][labels] * (x + warp) + waves[1][labels] * (y - warp))
    out += height[labels] * np.sign(fold) * np.abs(fold) ** np.float32(rng.uniform(0.5, 3))
    grain = np.where(rng.random(count + 1) < 0.2, np.abs(rng.normal(0, 0.06, count + 1)), 0).astype(np.float32)
    light: NDArray[np.float32] = (out + grain[labels] * rng.standard_normal(labels.shape, np.float32)).astype(
        np.float32
    )
    return light
