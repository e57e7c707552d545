"""Spectacles drawn on aligned faces for training: few training faces wear any, so that a network takes rims for damage.

All sizes are fractions of the side of a face aligned to the FFHQ template.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from odekit.parts.faces.geometry import TEMPLATES

Floats = NDArray[np.float32]
OVERSAMPLING = 4
"""Lines are drawn at this multiple of the side and reduced."""
SHADOW = 0.012
"""Distance of a shadow from its rim."""


@dataclass(frozen=True)
class Spectacles:
    """Shape and colour of one pair."""

    half_width: float
    half_height: float
    corner: float
    """Exponent of the superellipse of a lens: 2 is an ellipse, 5 nearly a rectangle."""
    rim: float
    """Width of the rim; the lower half of half-rim spectacles has none."""
    half_rim: bool
    colour: tuple[float, float, float]
    opacity: float
    shift: tuple[float, float]
    """Of the lenses' centres from the eyes, right and down."""
    turn: float
    """Of the head: one lens is narrower by this fraction, the other one wider."""
    tilt: float
    """Rise of the temples towards the ears."""
    ears: float
    """Distance of the ends of the temples from the sides of the picture."""
    tint: float
    """Change of the brightness behind the lenses."""
    reflection: float
    """Opacity of a light stripe across the lenses; 0 for none."""
    gleam: float = 0.0
    """Opacity of a light line along the upper side of the rims; 0 for none."""
    shadow: float = 0.0
    """Opacity of the rims' soft shadow, which lies below them; 0 for none."""


def draw_at_random(rng: np.random.Generator) -> Spectacles:
    """Spectacles as people wear them: mostly dark and thin."""
    kind, light = rng.random(), rng.uniform(0.02, 0.25)
    colour = (light, light, light)
    if kind < 0.3:  # metal
        light = rng.uniform(0.35, 0.75)
        colour = (light, light * rng.uniform(0.85, 1), light * rng.uniform(0.6, 1))
    elif kind < 0.5:  # tortoiseshell and colours
        colour = (rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.3), rng.uniform(0.02, 0.3))
    return Spectacles(
        half_width=rng.uniform(0.08, 0.112), half_height=rng.uniform(0.05, 0.09), corner=rng.uniform(2, 4.5),
        rim=float(np.exp(rng.uniform(np.log(0.004), np.log(0.02)))), half_rim=rng.random() < 0.15, colour=colour,
        opacity=rng.uniform(0.6, 1), shift=(rng.normal(0, 0.006), rng.uniform(0, 0.03)), turn=rng.normal(0, 0.06),
        tilt=rng.uniform(-0.01, 0.05), ears=rng.uniform(0.18, 0.27), tint=rng.uniform(-0.08, 0.05),
        reflection=rng.uniform(0.1, 0.5) if rng.random() < 0.25 else 0.0,
        gleam=rng.uniform(0.15, 0.7) if rng.random() < 0.4 else 0.0,
        shadow=rng.uniform(0.1, 0.4) if rng.random() < 0.5 else 0.0,
    )  # fmt: skip


def put_on(face: Floats, glasses: Spectacles) -> Floats:
    """The face (3, S, S) in [0, 1] with spectacles."""
    side = face.shape[-1]
    rims, lenses, stripes = (masks[None] for masks in _masks(glasses, side))
    colour = np.array(glasses.colour, np.float32)[:, None, None]
    out = face + lenses * np.float32(glasses.tint)
    if glasses.shadow:
        out = out * (1 - np.float32(glasses.shadow) * shadow_of(rims))
    out = out + stripes * np.float32(glasses.reflection) * (1 - out)
    out = out + rims * np.float32(glasses.opacity) * (colour - out)
    if glasses.gleam:
        out = out + upper_side(rims) * np.float32(glasses.gleam) * (1 - out)
    clipped: Floats = np.clip(out, 0, 1).astype(np.float32)
    return clipped


def shadow_of(rims: Floats) -> Floats:
    """Coverage (1, S, S) of the shadow of rims: moved down by `SHADOW` and blurred."""
    from scipy.ndimage import gaussian_filter, shift

    down = SHADOW * rims.shape[-1]
    moved: Floats = gaussian_filter(shift(rims, (0, down, 0), order=1), (0, down / 2, down / 2))
    return moved


def upper_side(rims: Floats) -> Floats:
    """Coverage (1, S, S) of the part of the rims that light from above falls on: half a pixel, whatever their width."""
    from scipy.ndimage import shift

    lit: Floats = np.clip(rims - shift(rims, (0, 0.5, 0), order=1), 0, 1)
    return lit


def _masks(glasses: Spectacles, side: int) -> tuple[Floats, Floats, Floats]:
    """Coverage (S, S) of the rims with bridge and temples, of the lenses, and of the reflections."""
    large = side * OVERSAMPLING
    rims, lenses, stripes = (PIL.Image.new("L", (large, large)) for _ in range(3))
    on_rims, on_lenses, on_stripes = (PIL.ImageDraw.Draw(mask) for mask in (rims, lenses, stripes))
    width = max(1, round(glasses.rim * large))

    def line(points: NDArray[np.float64]) -> None:
        on_rims.line([(float(x), float(y)) for x, y in points * large], fill=255, width=width, joint="curve")

    centres = TEMPLATES["ffhq-5"][:2] + np.array(glasses.shift)
    inner, outer = [], []
    for sign, centre in zip((-1, 1), centres, strict=True):
        half = np.array([glasses.half_width * (1 + sign * glasses.turn), glasses.half_height])
        outline = centre + half * superellipse(glasses.corner)
        on_lenses.polygon([(float(x), float(y)) for x, y in outline * large], fill=255)
        line(outline[len(outline) // 2 :] if glasses.half_rim else np.vstack([outline, outline[:1]]))
        across = centre + half * np.array([[-0.7, 0.7], [-0.3, 0.9], [0.6, -0.7], [0.2, -0.9]])
        on_stripes.polygon([(float(x), float(y)) for x, y in across * large], fill=255)
        inner.append(centre - half * (sign, 0.25))
        outer.append(centre + half * (sign, -0.3))
    middle = (inner[0] + inner[1]) / 2 - [0, 0.35 * glasses.half_height]
    line(np.array([inner[0], middle, inner[1]]))
    for end, ear in zip(outer, (glasses.ears, 1 - glasses.ears), strict=True):
        line(np.array([end, [ear, end[1] - glasses.tilt]]))
    small = [np.asarray(mask.reduce(OVERSAMPLING), np.float32) / np.float32(255) for mask in (rims, lenses, stripes)]
    return small[0], small[1], small[2] * small[1]


def superellipse(exponent: float, count: int = 48) -> NDArray[np.float64]:
    """Points (count, 2) of |x|^n + |y|^n = 1, downwards first from the right (y points down)."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.stack([np.cos(angle), np.sin(angle)], 1)
    out: NDArray[np.float64] = np.sign(points) * np.abs(points) ** (2 / exponent)
    return out
