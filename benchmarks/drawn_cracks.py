"""Cracks for measurements, drawn by another method than those of `odekit train mender`, which never sees these.

Main cracks are edges of a Voronoi diagram in a warped plane (training displaces midpoints), hairlines are random walks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image

Plane = NDArray[np.float32]
"""(H, W)."""
DRAWING_SIDE = 1024
"""Larger pictures get cracks that are drawn at this longer side and enlarged."""
VISIBLE = 0.05
"""A pixel is cracked where the drawing changes a value by more than this."""
SEVERITIES = {1: (5, 0.25, 2), 2: (9, 0.35, 6), 3: (18, 0.45, 12)}
"""Number of Voronoi cells, share of their edges that are cracks, and number of hairlines."""


def draw_cracks(clean: Image, severity: int, seed: int) -> tuple[Image, NDArray[np.bool_]]:
    """A photograph with cracks, rounded to 8 bits, and the mask (H, W) of the cracked pixels.

    Args:
        clean: the photograph.
        severity: 1 to 3.
        seed: seed of the generator.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    scale = min(1.0, DRAWING_SIDE / max(clean.height, clean.width))
    shape = (max(8, round(clean.height * scale)), max(8, round(clean.width * scale)))
    cells, share, hairs = SEVERITIES[severity]
    opacity = voronoi_cracks(rng, shape, cells, share)
    for _ in range(hairs):
        opacity = np.maximum(opacity, hairline(rng, shape))
    opacity = _enlarged(opacity, clean.height, clean.width)[None]
    dark = rng.random() < 0.25
    paper = rng.uniform(0.0, 0.12) if dark else rng.uniform(0.82, 1.0)
    tint = np.array([1.0, 0.97, 0.9] if rng.random() < 0.5 else [1.0, 1.0, 1.0])
    colour = (paper * tint)[:, None, None] + 0.03 * _enlarged(_noise(rng, shape, 2), clean.height, clean.width)[None]
    pixels = clean.pixels + opacity * (np.clip(colour, 0, 1) - clean.pixels)
    cracked = Image.from_uint8(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0).copy())
    mask = np.abs(cracked.pixels - clean.pixels).max(0) > VISIBLE
    return clean.with_pixels(cracked.pixels), mask


def voronoi_cracks(rng: np.random.Generator, shape: tuple[int, int], cells: int, share: float) -> Plane:
    """Opacity (H, W) of cracks along some edges of a Voronoi diagram, with noise in position, width and opacity."""
    from scipy.spatial import cKDTree

    side = min(shape)
    points = rng.uniform(0, 1, (cells, 2)) * shape
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    for period, height in ((side / 4, 0.03), (side / 16, 0.008), (6, 0.6 / side)):
        y = y + height * side * _noise(rng, shape, period)
        x = x + height * side * _noise(rng, shape, period)
    distance, index = cKDTree(points).query(np.stack([y, x], -1).reshape(-1, 2), k=2)
    first, second = points[index[:, 0]], points[index[:, 1]]
    gap = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * np.maximum(np.hypot(*(first - second).T), 1e-6))
    low, high = index.min(1), index.max(1)
    chosen = rng.random((cells, cells))[low, high] < share
    half = rng.uniform(0.0008, 0.004, (cells, cells))[low, high] * side
    half = np.maximum(half * np.exp(0.4 * _noise(rng, shape, 12).ravel()), 0.35)
    strength = np.clip(0.8 + 0.35 * _noise(rng, shape, 25).ravel(), 0.25, 1)
    cover = np.clip(half + 0.5 - gap, 0, np.minimum(2 * half, 1)) * strength * chosen
    plane: Plane = cover.reshape(shape).astype(np.float32)
    return plane


def hairline(rng: np.random.Generator, shape: tuple[int, int]) -> Plane:
    """Opacity (H, W) of a short crack: a random walk whose heading jumps, with discs of varying size."""
    plane = np.zeros(shape, np.float32)
    position, heading = rng.uniform(0, 1, 2) * shape, rng.uniform(0, 2 * np.pi)
    radius, level = rng.uniform(0.5, 1.6), rng.uniform(0.45, 1)
    for _ in range(int(rng.integers(20, 120))):
        heading += rng.normal(0, 0.25) + (rng.random() < 0.06) * rng.normal(0, 1.0)
        position = position + 1.5 * np.array([np.sin(heading), np.cos(heading)])
        level = float(np.clip(level + rng.normal(0, 0.05), 0.3, 1))
        size = radius * float(np.exp(rng.normal(0, 0.2)))
        top, left = (max(0, int(v - size) - 1) for v in position)
        part = plane[top : int(position[0] + size) + 3, left : int(position[1] + size) + 3]
        if not part.size:
            continue
        y, x = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
        disc = np.clip(size + 0.5 - np.hypot(y - position[0], x - position[1]), 0, 1) * level
        np.maximum(part, disc, out=part, casting="same_kind")
    return plane


def _noise(rng: np.random.Generator, shape: tuple[int, int], period: float) -> Plane:
    """Smooth noise with about unit deviation."""
    from scipy.ndimage import zoom

    rows, columns = (int(n / period) + 3 for n in shape)
    coarse = zoom(rng.standard_normal((rows, columns)), period, order=1 if period <= 3 else 3)
    plane: Plane = coarse[: shape[0], : shape[1]].astype(np.float32)
    return plane


def _enlarged(plane: Plane, height: int, width: int) -> Plane:
    import cv2

    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
