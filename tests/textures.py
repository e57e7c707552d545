"""Clean textures that must not be taken for noise: leaves, gravel, grass, hair and fabric, drawn or from scikit-image."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

Picture = np.ndarray
FABRICS = ("plain", "twill", "knit", "herringbone")


def rounded(pixels: Picture) -> Picture:
    """Rounded to 8 bits."""
    return (np.rint(np.clip(pixels, 0, 1) * 255) / 255).astype(np.float32)


def dead_leaves(side: int, sizes: tuple[float, float], colours: Picture, count: int, seed: int = 0) -> Picture:
    """Ellipses of random place, size, direction and shade that hide each other, with soft edges."""
    rng = np.random.Generator(np.random.Philox(seed))
    canvas = np.repeat(colours[:, :1], 4 * side * side, axis=1).reshape(3, 2 * side, 2 * side)  # twice as large
    for _ in range(count):
        long = 2 * rng.uniform(*sizes)
        short, angle = long * rng.uniform(0.3, 0.7), rng.uniform(0, np.pi)
        y0, x0 = rng.uniform(0, 2 * side, 2)
        reach = int(long) + 2
        top, left = max(0, int(y0) - reach), max(0, int(x0) - reach)
        y, x = np.mgrid[top : min(2 * side, int(y0) + reach), left : min(2 * side, int(x0) + reach)]
        u = (x - x0) * np.cos(angle) + (y - y0) * np.sin(angle)
        v = (y - y0) * np.cos(angle) - (x - x0) * np.sin(angle)
        inside = (u / long) ** 2 + (v / short) ** 2 < 1
        shade = colours[:, rng.integers(colours.shape[1])] * rng.uniform(0.5, 1.1)
        part = canvas[:, top : top + inside.shape[0], left : left + inside.shape[1]]
        part[:, inside] = (shade[:, None] * (1 + 0.2 * u / long)[inside]).astype(np.float32)
    return rounded(canvas.reshape(3, side, 2, side, 2).mean((2, 4)))


def foliage(side: int = 128, seed: int = 0) -> Picture:
    """Leaves of 1.5 to 5 pixels, in greens."""
    greens = np.array([[0.1, 0.3, 0.45, 0.2], [0.2, 0.5, 0.65, 0.35], [0.05, 0.15, 0.25, 0.1]], np.float32)
    return dead_leaves(side, (1.5, 5), greens, side * side // 4, seed)


def gravel(side: int = 128, seed: int = 1) -> Picture:
    """Stones of 2 to 7 pixels, in greys."""
    greys = np.array([[0.3, 0.5, 0.62, 0.75]] * 3, np.float32) * np.array([[1], [0.97], [0.92]], np.float32)
    return dead_leaves(side, (2, 7), greys, side * side // 8, seed)


def fabric(kind: str, side: int = 256, seed: int = 0) -> Picture:
    """Woven or knitted threads of 4 to 7 pixels, uneven, in folds."""
    rng = np.random.Generator(np.random.Philox(seed))
    y, x = np.mgrid[:side, :side].astype(float)
    weave = {
        "plain": np.sin(2 * np.pi * x / 4.6) * np.sin(2 * np.pi * y / 4.6),
        "twill": np.sin(2 * np.pi * (x + y) / 5.3),
        "knit": np.sin(2 * np.pi * x / 7 + 1.5 * np.sin(2 * np.pi * y / 6)),
        "herringbone": np.sin(2 * np.pi * (x + np.abs(y % 40 - 20)) / 6),
    }[kind]
    threads = rng.normal(0, 0.06, (2, side))
    uneven = threads[0] * np.sin(2 * np.pi * y / 9) + threads[1][:, None] * np.sin(2 * np.pi * x / 9)
    folds = 0.8 + 0.3 * np.sin(x / 90) * np.cos(y / 70)
    plane = gaussian_filter((0.5 + 0.2 * weave + uneven) * folds, 0.5)
    return rounded(plane * np.array([0.9, 0.8, 1.0])[:, None, None])


def from_scikit_image() -> dict[str, Picture]:
    """Photographs of textures that scikit-image carries (CC0), and reduced and enlarged copies."""
    from skimage import data

    out = {}
    for name in ("brick", "grass"):
        whole = np.repeat(getattr(data, name)()[None] / np.float32(255), 3, axis=0)
        out[name] = whole[:, :256, :256]
        out[f"{name}, half"] = rounded(whole.reshape(3, 256, 2, 256, 2).mean((2, 4)))
        out[f"{name}, double"] = rounded(zoom(whole[:, :192, :192], (1, 2, 2), order=3))
    table = data.coffee().transpose(2, 0, 1) / np.float32(255)
    return out | {"table": table[:, 300:], "fur": data.cat().transpose(2, 0, 1)[:, :256, 100:356] / np.float32(255)}


@cache
def textures() -> dict[str, Picture]:
    """Twenty of them, by name."""
    leaves, stones = foliage(), gravel()
    drawn = {"foliage": leaves, "gravel": stones, "foliage, other": foliage(112, 5), "gravel, other": gravel(112, 6)}
    for name, picture in (("foliage", leaves), ("gravel", stones)):
        drawn[f"{name}, double"] = rounded(zoom(picture, (1, 2, 2), order=3))
    tree = np.ones((3, 192, 192), np.float32)
    tree[:, 32:160, 32:160] = leaves
    drawn |= {"foliage on white": tree, "gravel, flat": rounded(0.4 + 0.5 * (stones - 0.4))}
    return drawn | {f"fabric, {kind}": fabric(kind) for kind in FABRICS} | from_scikit_image()
