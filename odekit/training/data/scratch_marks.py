"""Synthetic scratches, cracks and dust: how much each covers every pixel, and its colour."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from odekit.parts.corruptions.old_photo import PAPER
from odekit.training.data import cracks
from odekit.training.options.scratches import ScratchDamageOptions

Coverage = NDArray[np.float32]
"""(S, S) in [0, 1]."""
SUPERSAMPLING = 3
"""Supersampling factor: strokes are drawn this many times larger and reduced, for soft edges."""


def add_marks(
    picture: NDArray[np.float32], rng: np.random.Generator, options: ScratchDamageOptions
) -> NDArray[np.float32]:
    """A crop (S, S, 3) in [0, 1] with 1 to `options.marks` bright, dark or coloured marks, mostly of one kind."""
    cracked = rng.random() < options.cracks
    for _ in range(int(rng.integers(1, options.marks + 1))):
        kind_differs = rng.random() < 0.2
        picture = (add_crack if cracked != kind_differs else add_scratch)(picture, rng, options)
    return picture


def add_crack(
    picture: NDArray[np.float32], rng: np.random.Generator, options: ScratchDamageOptions
) -> NDArray[np.float32]:
    """A crop with cracks or flakes: paper with relief, or (a share `dark`) filled with dirt."""
    size = len(picture)
    cover = cracks.cracks(rng, size) if rng.random() < 0.85 else cracks.missing_emulsion(rng, size)
    if rng.random() < options.dark:
        return blend(picture, cover * rng.uniform(0.4, 1), PAPER * rng.uniform(0, 0.3))
    return cracks.show_paper(picture, cover, rng)


def add_scratch(
    picture: NDArray[np.float32], rng: np.random.Generator, options: ScratchDamageOptions
) -> NDArray[np.float32]:
    """A crop with one scratch of even colour, or with specks of dust."""
    kind = rng.random()
    size = len(picture)
    cover = (
        wavy_scratch(rng, size, options.largest)
        if kind < 0.5
        else stroke(rng, size)
        if kind < 0.75
        else dust(rng, size)
    )
    return blend(picture, cover * rng.uniform(0.35, 1.0), mark_colour(rng, options.dark))


def blend(picture: NDArray[np.float32], cover: NDArray[Any], colour: NDArray[Any]) -> NDArray[np.float32]:
    """A colour (3,) over a crop (S, S, 3), with this coverage (S, S)."""
    alpha = cover[..., None]
    out: NDArray[np.float32] = (picture * (1 - alpha) + alpha * colour).astype(np.float32)
    return out


def mark_colour(rng: np.random.Generator, dark: float) -> NDArray[np.float32]:
    """Colour of a mark (3,): bare paper, dirt (a share `dark`) or any colour (an eighth)."""
    draw = rng.random()
    if draw < 0.88 - dark:
        colour = np.clip(PAPER * rng.uniform(0.85, 1.05), 0, 1)
    elif draw < 0.88:
        colour = PAPER * rng.uniform(0.0, 0.25)
    else:
        colour = rng.uniform(0, 1, 3)
    return colour.astype(np.float32)


def wavy_scratch(rng: np.random.Generator, size: int, largest: int) -> Coverage:
    """Coverage (size, size) of one wavy scratch, as `odekit.parts.corruptions.old_photo.scratches` draws them.

    The width is that in a photograph whose shorter side is random, from 96 to `largest`. The formulas are those of
    that module, except for the direction: 30 % of the scratches have any direction.
    """
    side = float(np.exp(rng.uniform(np.log(96), np.log(largest))))
    angle = np.pi / 2 + rng.normal(0, 0.35) if rng.random() < 0.7 else rng.uniform(0, np.pi)
    point = rng.uniform(-0.1, 1.1, 2) * size
    y, x = (axis.astype(np.float32) for axis in np.ogrid[:size, :size])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    start = np.float32(rng.uniform(-0.6, 0.6) * side)
    along = (x - point[1]) * cos + (y - point[0]) * sin + start
    amplitude, frequency, phase = rng.uniform(0, 0.012, 2) * side, rng.uniform(1, 9, 2) / side, rng.uniform(0, 6.3, 2)
    bend = sum(
        a * (np.sin(along * p + f) - np.sin(start * p + f)) for a, p, f in zip(amplitude, frequency, phase, strict=True)
    )
    across = np.abs((y - point[0]) * cos - (x - point[1]) * sin + bend)
    half = rng.uniform(0.1, 0.5) * max(1.0, side / 96)
    reach = max(abs(float(start)) * 1.05, rng.uniform(0.15, 0.8) * side)
    ends = np.clip((reach - np.abs(along)) / (0.15 * reach), 0, 1)
    cover: Coverage = (np.clip(half + 0.5 - across, 0, min(1.0, 2 * half + 0.3)) * ends).astype(np.float32)
    return cover


def stroke(rng: np.random.Generator, size: int) -> Coverage:
    """Coverage (size, size) of one stroke: a straight scratch or an arc, solid or broken."""
    steps = int(rng.integers(2, 40))
    turn, curl = rng.normal(0, 0.15), rng.normal(0, 0.12)
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(turn * rng.standard_normal(steps) + curl * rng.random())
    step_length = SUPERSAMPLING * rng.uniform(2, 10)
    path = rng.uniform(-0.1, 1.1, 2) * size * SUPERSAMPLING + np.cumsum(
        step_length * np.stack([np.cos(direction), np.sin(direction)], 1), 0
    )
    plane = PIL.Image.new("L", (size * SUPERSAMPLING, size * SUPERSAMPLING))
    draw = PIL.ImageDraw.Draw(plane)
    width = max(1, round(SUPERSAMPLING * float(np.exp(rng.uniform(np.log(0.6), np.log(9))))))
    broken = rng.random() < 0.2
    points = [(float(px), float(py)) for px, py in path]
    for a, b in itertools.pairwise(points):
        if not broken or rng.random() < 0.6:
            draw.line([a, b], fill=255, width=width)
            r = width / 2
            if width > 3:
                draw.ellipse([b[0] - r, b[1] - r, b[0] + r, b[1] + r], fill=255)
    return _reduced(plane)


def dust(rng: np.random.Generator, size: int) -> Coverage:
    """Coverage (size, size) of 1 to 25 specks: random polygons."""
    plane = PIL.Image.new("L", (size * SUPERSAMPLING, size * SUPERSAMPLING))
    draw = PIL.ImageDraw.Draw(plane)
    scale = float(np.exp(rng.uniform(np.log(0.7), np.log(5)))) * SUPERSAMPLING
    for _ in range(int(np.exp(rng.uniform(0, np.log(25))))):
        centre = rng.uniform(0, size * SUPERSAMPLING, 2)
        corners = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(4, 9))))
        radius = scale * np.exp(rng.normal(0, 0.4)) * rng.uniform(0.4, 1, len(corners))
        outline = centre + radius[:, None] * np.stack([np.cos(corners), np.sin(corners)], 1)
        draw.polygon([(float(px), float(py)) for px, py in outline], fill=255)
    return _reduced(plane)


def _reduced(plane: PIL.Image.Image) -> Coverage:
    return np.asarray(plane.reduce(SUPERSAMPLING), dtype=np.float32) / np.float32(255)
