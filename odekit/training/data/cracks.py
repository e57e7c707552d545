"""Synthetic cracks of the emulsion of a print: branching, jagged, of varying width, with paper showing and relief."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from numpy.typing import NDArray

from odekit.parts.corruptions.old_photo import PAPER

Coverage = NDArray[np.float32]
"""(S, S) in [0, 1]."""
Points = NDArray[np.float64]
"""(N, 2), x and y."""
SUPERSAMPLING = 3
"""Cracks are drawn this many times larger and reduced, for soft edges."""


@dataclass(frozen=True)
class CrackStyle:
    """What the cracks of one print have in common."""

    width: float
    """Of the main cracks, in pixels."""
    roughness: float
    """Displacement of a midpoint, as a fraction of the length of its segment."""
    branches: float
    """Expected number of branches of a crack."""
    broken: float
    """Strength of the variation of opacity along a crack, 0 to 1."""


def random_style(rng: np.random.Generator) -> CrackStyle:
    """A random style; thin cracks are as frequent as wide ones."""
    width = float(np.exp(rng.uniform(np.log(0.6), np.log(7))))
    return CrackStyle(width, float(rng.uniform(0.01, 0.22)), float(rng.uniform(0, 3)), float(rng.random() ** 2))


def cracks(rng: np.random.Generator, size: int) -> Coverage:
    """Coverage (size, size) of one to five cracks of one style, with their branches."""
    style, plane = random_style(rng), PIL.Image.new("L", (size * SUPERSAMPLING,) * 2)
    draw = PIL.ImageDraw.Draw(plane)
    fine = style.width < 1.2
    for _ in range(1 + int(rng.integers(0, 8 if fine else 3))):
        start = rng.uniform(-0.2, 1.2, 2) * size
        angle = rng.uniform(0, 2 * np.pi)
        length = size * float(np.exp(rng.uniform(np.log(0.12), np.log(1.8))))
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        draw_crack(draw, rng, style, midpoint_path(rng, start, end, style.roughness), style.width, depth=2)
    return reduced(plane)


def midpoint_path(rng: np.random.Generator, start: Points, end: Points, roughness: float) -> Points:
    """A jagged path by midpoint displacement (Fournier, Fussell, Carpenter, CACM 25, 1982): steps of 2 to 4 pixels."""
    points = np.stack([start, end])
    while np.hypot(*(points[1] - points[0])) > 4:
        step = np.diff(points, axis=0)
        normal = np.stack([-step[:, 1], step[:, 0]], 1)
        middle = points[:-1] + step / 2 + normal * rng.normal(0, roughness, (len(step), 1))
        joined = np.empty((2 * len(points) - 1, 2))
        joined[::2], joined[1::2] = points, middle
        points = joined
        if len(points) > 400:
            break
    return points


def draw_crack(
    draw: PIL.ImageDraw.ImageDraw, rng: np.random.Generator, style: CrackStyle, path: Points, width: float, depth: int
) -> None:
    """Draw a path as a crack that becomes thin at its ends, and its branches."""
    count = len(path)
    position = np.linspace(0, 1, count)
    slow = np.interp(position, np.linspace(0, 1, 2 + count // 6), rng.standard_normal(2 + count // 6))
    fast = rng.standard_normal(count)
    widths = width * np.exp(0.35 * slow + 0.25 * fast) * np.clip(6 * np.minimum(position, 1 - position), 0.25, 1)
    opacity = np.interp(position, np.linspace(0, 1, 2 + count // 5), rng.random(2 + count // 5))
    opacity = 1 - style.broken * np.clip(1.6 * opacity - 0.3, 0, 1)
    scaled = path * SUPERSAMPLING
    for i in range(count - 1):
        shade, thick = round(255 * opacity[i]), max(1, round(SUPERSAMPLING * widths[i]))
        (x0, y0), (x1, y1) = scaled[i], scaled[i + 1]
        draw.line([(x0, y0), (x1, y1)], fill=shade, width=thick)
        if thick > 4:
            radius = thick / 2
            draw.ellipse([x1 - radius, y1 - radius, x1 + radius, y1 + radius], fill=shade)
    if not depth or count < 6:
        return
    for _ in range(rng.poisson(style.branches if depth == 2 else 0.4 * style.branches)):
        i = int(rng.integers(1, count - 1))
        heading = np.arctan2(*(path[i + 1] - path[i - 1])[::-1]) + rng.choice([-1, 1]) * rng.uniform(0.4, 1.6)
        length = rng.uniform(0.15, 0.7) * np.hypot(*(path[-1] - path[0]))
        end = path[i] + length * np.array([np.cos(heading), np.sin(heading)])
        branch = midpoint_path(rng, path[i], end, style.roughness)
        draw_crack(draw, rng, style, branch, width * rng.uniform(0.4, 0.9), depth - 1)


def missing_emulsion(rng: np.random.Generator, size: int) -> Coverage:
    """Coverage (size, size) of one to four flakes that came off, with jagged outlines, often at a border or corner."""
    plane = PIL.Image.new("L", (size * SUPERSAMPLING,) * 2)
    draw = PIL.ImageDraw.Draw(plane)
    for _ in range(int(rng.integers(1, 5))):
        centre = rng.uniform(0, 1, 2) * size
        if rng.random() < 0.6:
            centre[int(rng.integers(2))] = rng.choice([0, size])
        count = int(rng.integers(8, 28))
        angles = np.sort(rng.uniform(0, 2 * np.pi, count))
        radius = np.exp(rng.uniform(np.log(2), np.log(0.2 * size))) * np.exp(rng.normal(0, 0.3, count))
        stretch = np.exp(rng.normal(0, 0.4, 2))
        outline = centre + radius[:, None] * stretch * np.stack([np.cos(angles), np.sin(angles)], 1)
        draw.polygon([(float(x), float(y)) for x, y in outline * SUPERSAMPLING], fill=255)
    return reduced(plane)


def show_paper(picture: NDArray[np.float32], cover: Coverage, rng: np.random.Generator) -> NDArray[np.float32]:
    """A crop (S, S, 3) with textured paper where `cover` says, and with the relief of the emulsion's edges.

    Raised edges are light on the side of the lamp, and cast a shadow on the other side.
    """
    size = len(picture)
    colour = np.clip(PAPER * rng.uniform(0.8, 1.06) + rng.normal(0, 0.03, 3), 0, 1).astype(np.float32)
    if np.ptp(picture, axis=2).max() < 0.02 and rng.random() < 0.7:
        colour = np.repeat(colour.mean(), 3)
    grain = rng.standard_normal((size, size, 1)).astype(np.float32) * np.float32(rng.uniform(0, 0.06))
    strength = np.float32(rng.uniform(0.45, 1))
    if rng.random() < 0.5:
        blurred = _blurred(cover, float(rng.uniform(0.6, 1.5)))
        dy, dx = rng.integers(-1, 2, 2)
        slope = np.roll(blurred, (dy, dx), (0, 1)) - np.roll(blurred, (-dy, -dx), (0, 1))
        picture = picture * (1 + np.float32(rng.uniform(0.2, 0.9)) * strength * slope[..., None])
    alpha = (cover * strength)[..., None]
    out: NDArray[np.float32] = np.clip(picture * (1 - alpha) + alpha * (colour + grain), 0, 1).astype(np.float32)
    return out


def _blurred(cover: Coverage, sigma: float) -> Coverage:
    plane = PIL.Image.fromarray((cover * 255).astype(np.uint8)).filter(PIL.ImageFilter.GaussianBlur(sigma))
    return np.asarray(plane, dtype=np.float32) / np.float32(255)


def reduced(plane: PIL.Image.Image) -> Coverage:
    """A plane drawn `SUPERSAMPLING` times larger, as a coverage."""
    return np.asarray(plane.reduce(SUPERSAMPLING), dtype=np.float32) / np.float32(255)
