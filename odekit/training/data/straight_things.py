"""Things that look like scratches and belong to the picture: ropes, planks, bars, wires, strands, twigs, borders, text.

They are the hard negatives of scratch detection: drawn into crops whose target keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""(S, S)."""
Picture = NDArray[np.float32]
"""(S, S, 3) in [0, 1]."""
TEXT = "The quick brown fox jumps over the lazy dog 0123456789 AEFHIKLMNTVWXYZ"
SUPERSAMPLING = 2
"""Polygons and letters are drawn this many times larger and reduced, for soft edges."""


@dataclass(frozen=True)
class Strip:
    """Coordinates of a long bent object."""

    along: Plane
    """Position along it, in pixels."""
    across: Plane
    """Signed distance from its middle, in pixels."""


def random_strip(rng: np.random.Generator, size: int, bend: float = 0.15) -> Strip:
    """A random direction and offset, with the sag of a hanging rope (a parabola) of up to `bend` of the side."""
    angle = rng.uniform(0, np.pi) if rng.random() < 0.5 else rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08)
    y, x = (axis.astype(np.float32) for axis in np.mgrid[:size, :size])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    centre = rng.uniform(0, size, 2)
    along = (x - centre[1]) * cos + (y - centre[0]) * sin
    across = (y - centre[0]) * cos - (x - centre[1]) * sin
    sag = np.float32(rng.normal(0, bend) / size) if rng.random() < 0.6 else np.float32(0)
    return Strip(along, (across - sag * along * along) / np.sqrt(1 + (2 * sag * along) ** 2))


def draw_straight_things(picture: Picture, rng: np.random.Generator) -> Picture:
    """The crop with one or two kinds of such things drawn into it."""
    kinds: list[Callable[[Picture, np.random.Generator], Picture]] = [
        rope, rope, planks, bars, bars, wires, wires, wires, region_edge, region_edge, strands, strands, twigs, twigs,
        border, border, text, stripes,
    ]  # fmt: skip
    for _ in range(1 + int(rng.random() < 0.35)):
        picture = kinds[int(rng.integers(len(kinds)))](picture, rng)
    return np.clip(picture, 0, 1).astype(np.float32)


def over(picture: Picture, cover: Plane, colour: Picture | NDArray[np.float32]) -> Picture:
    """A colour (3,) or picture laid over a picture with this coverage (S, S)."""
    alpha = cover[..., None]
    return (picture * (1 - alpha) + alpha * colour).astype(np.float32)


def natural_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """A colour (3,) of little saturation; a third are near white, a quarter near black."""
    draw = rng.random()
    level = rng.uniform(0.7, 1) if draw < 0.33 else rng.uniform(0, 0.2) if draw < 0.58 else rng.uniform(0.1, 0.9)
    return np.clip(level + rng.normal(0, 0.06, 3), 0, 1).astype(np.float32)


def soft(rng: np.random.Generator, distance: Plane, half_width: float) -> Plane:
    """Coverage of what lies within `half_width` of a middle line, with an edge of random softness."""
    edge = np.float32(rng.uniform(0.5, 1.2))
    return np.clip((half_width - np.abs(distance)) / (2 * edge) + 0.5, 0, 1).astype(np.float32)


def smooth_noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> Plane:
    """Noise with about unit deviation from a grid of `cells` (rows, columns), interpolated."""
    grain = rng.standard_normal((cells[0] + 1, cells[1] + 1)).astype(np.float32)
    return np.asarray(PIL.Image.fromarray(grain).resize((size, size), PIL.Image.Resampling.BICUBIC))


def rope(picture: Picture, rng: np.random.Generator) -> Picture:
    """A twisted rope or cable, shaded as a cylinder, sometimes with its shadow."""
    size = len(picture)
    strip, half = random_strip(rng, size), float(np.exp(rng.uniform(np.log(0.8), np.log(8))))
    if rng.random() < 0.4:
        picture = over(picture, soft(rng, strip.across - 2.5 * half, half) * np.float32(rng.uniform(0.2, 0.6)),
                       np.zeros(3, np.float32))  # fmt: skip
    position = np.clip(strip.across / half, -1, 1)
    twist = np.sin(strip.along * np.float32(np.pi / (half * rng.uniform(0.8, 2))) + position * np.float32(1.5))
    light = 1 - rng.uniform(0.2, 0.6) * (position - rng.uniform(-0.6, 0.6)) ** 2 + rng.uniform(0, 0.25) * twist
    return over(picture, soft(rng, strip.across, half), natural_colour(rng) * light[..., None].astype(np.float32))


def planks(picture: Picture, rng: np.random.Generator) -> Picture:
    """Boards with grain and gaps, in perspective, in a part of the crop or all of it."""
    size = len(picture)
    strip = random_strip(rng, size, bend=0.0)
    perspective = 1 + np.float32(rng.uniform(-0.4, 0.4)) * strip.along / size
    across = (strip.across / np.maximum(perspective, 0.3)).astype(np.float32)
    pitch, gap = rng.uniform(6, 40), float(np.exp(rng.uniform(np.log(0.4), np.log(2))))
    number = np.floor(across / pitch)
    inside = (across / pitch - number - 0.5) * pitch
    tint = np.float32(0.06) * np.sin(number * np.float32(rng.uniform(1, 7)))
    grain = smooth_noise(rng, size, (size // 2, size // 2)) * np.sin(across * np.float32(rng.uniform(0.6, 2.5)))
    board = natural_colour(rng) * (1 + tint + np.float32(rng.uniform(0, 0.08)) * grain)[..., None]
    gaps = soft(rng, (np.abs(inside) - pitch / 2).astype(np.float32), gap)
    line = natural_colour(rng) * np.float32(0.3 if rng.random() < 0.75 else 1)
    filled = over(np.clip(board, 0, 1).astype(np.float32), gaps * np.float32(rng.uniform(0.5, 1)), line)
    reach = float(size if rng.random() < 0.4 else rng.uniform(0.2, 0.5) * size)
    return over(picture, soft(rng, strip.across, reach), filled)


def bars(picture: Picture, rng: np.random.Generator) -> Picture:
    """Window bars or a railing: parallel beams with a light and a dark side, sometimes crossed by others."""
    size = len(picture)
    for _ in range(1 + int(rng.random() < 0.5)):
        strip = random_strip(rng, size, bend=0.03)
        pitch, half = rng.uniform(8, size / 1.5), float(np.exp(rng.uniform(np.log(0.6), np.log(6))))
        half = min(half, float(0.35 * pitch))
        count = int(rng.integers(1, 6))
        number = np.clip(np.round(strip.across / pitch), 0, count - 1)
        across = (strip.across - number * pitch).astype(np.float32)
        light = 1 + np.float32(rng.uniform(-0.5, 0.5)) * np.clip(across / half, -1, 1)
        ends = soft(rng, strip.along, float(rng.uniform(0.3, 1.2) * size))
        picture = over(picture, soft(rng, across, half) * ends,
                       np.clip(natural_colour(rng) * light[..., None], 0, 1).astype(np.float32))  # fmt: skip
    return picture


def wires(picture: Picture, rng: np.random.Generator) -> Picture:
    """One to five thin smooth lines over the whole crop, often over a plain sky."""
    size = len(picture)
    if rng.random() < 0.3:
        height = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
        sky = natural_colour(rng) * (1 - height) + natural_colour(rng) * height
        sky = sky + np.float32(0.02) * smooth_noise(rng, size, (6, 6))[..., None]
        picture = over(picture, np.full((size, size), rng.uniform(0.6, 1), np.float32), sky)
    strip, colour = random_strip(rng, size), natural_colour(rng)
    half, spacing = float(np.exp(rng.uniform(np.log(0.3), np.log(1.6)))), rng.uniform(3, size / 3)
    spread = np.float32(rng.normal(0, 0.1))
    for number in range(int(rng.integers(1, 6))):
        across = strip.across - np.float32(number * spacing) - spread * number * strip.along
        picture = over(picture, soft(rng, across, half) * np.float32(rng.uniform(0.5, 1)), colour)
    return picture


def region_edge(picture: Picture, rng: np.random.Generator) -> Picture:
    """A horizon, a roof's edge or the rim of a thing: two regions, often with a bright or dark line along the rim."""
    size = len(picture)
    strip = random_strip(rng, size, bend=0.3)
    across = strip.across
    if rng.random() < 0.3:
        across = across + np.float32(rng.uniform(0.5, 2)) * np.interp(
            strip.along, np.arange(-2 * size, 2 * size, 4), rng.standard_normal(size)
        ).astype(np.float32)
    inside = np.clip(across / np.float32(rng.uniform(0.6, 2.5)) + 0.5, 0, 1)
    texture = smooth_noise(rng, size, tuple(rng.integers(2, size // 2, 2))) * np.float32(rng.uniform(0, 0.1))
    region = np.clip(natural_colour(rng) + texture[..., None], 0, 1)
    if rng.random() < 0.4:
        region = picture * np.float32(rng.uniform(0.3, 0.8)) if rng.random() < 0.5 else 1 - (1 - picture) * np.float32(
            rng.uniform(0.3, 0.8)
        )  # fmt: skip
    picture = over(picture, inside.astype(np.float32), region.astype(np.float32))
    if rng.random() < 0.6:
        rim = soft(rng, across - np.float32(rng.normal(0, 1)), float(np.exp(rng.uniform(np.log(0.4), np.log(3)))))
        picture = over(picture, rim * np.float32(rng.uniform(0.3, 1)), natural_colour(rng))
    return picture


def strands(picture: Picture, rng: np.random.Generator) -> Picture:
    """Hair, grass or stems: 5 to 40 thin tapered strands of nearly one direction."""
    size = len(picture)
    base, colour = random_strip(rng, size, bend=0.4), natural_colour(rng)
    for _ in range(int(np.exp(rng.uniform(np.log(5), np.log(40))))):
        lean, curl = np.float32(rng.normal(0, 0.15)), np.float32(rng.normal(0, 0.15) / size)
        across = base.across - np.float32(rng.normal(0, 0.25) * size) - (lean + curl * base.along) * base.along
        start, length = rng.uniform(-0.7, 0.5) * size, rng.uniform(0.3, 1.5) * size
        taper = np.clip((base.along - start) / 8, 0, 1) * np.clip((start + length - base.along) / (0.5 * length), 0, 1)
        half = np.float32(np.exp(rng.uniform(np.log(0.3), np.log(1.6))))
        shade = np.clip(colour * np.float32(rng.uniform(0.6, 1.3)), 0, 1)
        cover = np.clip(half * taper + 0.5 - np.abs(across), 0, np.minimum(2 * half * taper, 1))
        picture = over(picture, cover.astype(np.float32) * np.float32(rng.uniform(0.4, 1)), shade)
    return picture


def twigs(picture: Picture, rng: np.random.Generator) -> Picture:
    """Bare branches: smooth forks that become thinner, mostly dark before something bright."""
    size, scale = len(picture), SUPERSAMPLING
    plane = PIL.Image.new("L", (size * scale, size * scale))
    draw = PIL.ImageDraw.Draw(plane)

    def grow(point: NDArray[np.float64], heading: float, width: float, depth: int) -> None:
        for _ in range(int(rng.integers(3, 9))):
            heading += rng.normal(0, 0.12)
            following = point + scale * rng.uniform(4, 10) * np.array([np.cos(heading), np.sin(heading)])
            draw.line([tuple(point), tuple(following)], fill=255, width=max(1, round(scale * width)))
            point, width = following, width * rng.uniform(0.85, 0.98)
            if depth and rng.random() < 0.45:
                grow(point, heading + rng.choice([-1, 1]) * rng.uniform(0.3, 0.9), 0.7 * width, depth - 1)

    for _ in range(int(rng.integers(1, 4))):
        grow(rng.uniform(0, size * scale, 2), rng.uniform(0, 2 * np.pi), float(np.exp(rng.uniform(0, np.log(7)))), 3)
    cover = np.asarray(plane.reduce(scale), dtype=np.float32) / np.float32(255)
    if rng.random() < 0.75:
        background = np.clip(rng.uniform(0.6, 1) + 0.04 * smooth_noise(rng, size, (5, 5))[..., None], 0, 1)
        picture = over(picture, np.full((size, size), rng.uniform(0, 1), np.float32), background.astype(np.float32))
        return over(picture, cover, rng.uniform(0, 0.35) * natural_colour(rng))
    return over(picture, cover, natural_colour(rng))


def border(picture: Picture, rng: np.random.Generator) -> Picture:
    """A frame round the picture, or lines beside its border."""
    size = len(picture)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    distances = [x, y, size - 1 - x, size - 1 - y]
    sides = rng.permutation(4)[: int(rng.integers(1, 5))]
    nearest = np.min([distances[side] for side in sides], axis=0)
    width = float(np.exp(rng.uniform(np.log(0.6), np.log(0.25 * size))))
    shade = (
        natural_colour(rng)
        + np.float32(rng.uniform(0, 0.02)) * smooth_noise(rng, size, (size // 2, size // 2))[..., None]
    )
    picture = over(picture, np.clip(width - nearest + 0.5, 0, 1).astype(np.float32), shade.astype(np.float32))
    if rng.random() < 0.5:
        line = soft(
            rng, nearest - np.float32(width + rng.uniform(0, 12)), float(np.exp(rng.uniform(np.log(0.4), np.log(2))))
        )
        picture = over(picture, line, natural_colour(rng))
    return picture


def text(picture: Picture, rng: np.random.Generator) -> Picture:
    """Letters, sometimes with an outline, sometimes turned."""
    import PIL.ImageFont

    size, scale = len(picture), SUPERSAMPLING
    plane = PIL.Image.new("L", (size * scale, size * scale))
    draw = PIL.ImageDraw.Draw(plane)
    for _ in range(int(rng.integers(1, 4))):
        font = PIL.ImageFont.load_default(float(rng.uniform(8, 48)) * scale)
        start = int(rng.integers(len(TEXT) - 12))
        place = tuple(rng.uniform(-10, size * 0.8, 2) * scale)
        draw.text(place, TEXT[start : start + 12], fill=255, font=font)
    if rng.random() < 0.5:
        plane = plane.rotate(float(rng.normal(0, 10)), PIL.Image.Resampling.BILINEAR)
    cover = np.asarray(plane.reduce(scale), dtype=np.float32) / np.float32(255)
    if rng.random() < 0.3:
        wide = plane.filter(PIL.ImageFilter.MaxFilter(5))
        picture = over(picture, np.asarray(wide.reduce(scale), dtype=np.float32) / np.float32(255), natural_colour(rng))
    return over(picture, cover, natural_colour(rng))


def stripes(picture: Picture, rng: np.random.Generator) -> Picture:
    """Stripes of a fabric that follow its folds, over a part of the crop."""
    size = len(picture)
    strip = random_strip(rng, size, bend=0.3)
    folds = np.float32(rng.uniform(0, 5)) * smooth_noise(rng, size, (4, 4))
    pitch = rng.uniform(4, 30)
    phase = (strip.across + folds) / pitch
    offset = ((phase - np.round(phase)) * pitch).astype(np.float32)
    lines = soft(rng, offset, float(min(0.3 * pitch, rng.uniform(0.4, 5))))
    light = np.float32(1) + np.float32(0.08) * smooth_noise(rng, size, (4, 4))[..., None]
    part = np.clip(smooth_noise(rng, size, (2, 2)) * 4 + rng.uniform(-1, 4), 0, 1).astype(np.float32)
    return over(
        picture, lines * part * np.float32(rng.uniform(0.4, 1)), (natural_colour(rng) * light).astype(np.float32)
    )
