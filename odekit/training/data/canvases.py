"""Pictures that hold one aligned face at a known place, or none, in surroundings and damage of many kinds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images.colour import LUMA
from odekit.images.face_sets import SUFFIXES
from odekit.parts.corruptions.kinds import KINDS, corrupt
from odekit.training.options.aligner import Canvas

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

SIZE = 160
"""Side of a canvas in pixels."""
FACE = 72
"""Side of the aligned face in its middle."""
SPARE = ("coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png", "hubble_deep_field.jpg",
         "brick.png", "grass.png", "gravel.png", "page.png", "ihc.png")  # fmt: skip
"""Pictures without people that scikit-image carries in its wheel."""
FREE = ("coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png", "hubble_deep_field.jpg",
        "brick.png", "grass.png", "gravel.png")  # fmt: skip
"""Those of them that are photographs given away (CC0, or no known copyright restrictions)."""


def backgrounds(folder: Path | None, names: Sequence[str] = SPARE) -> list[Picture]:
    """Photographs without faces, at most 512 pixels wide: of a folder, or those of scikit-image with these names.

    Raises:
        InputError: no pictures there.
    """
    if folder is None:
        import skimage

        home = Path(skimage.__file__).parent / "data"
        files = [home / name for name in names if (home / name).is_file()]
    else:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    found = []
    for file in files:
        with PIL.Image.open(file) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((512, 512))
        if min(picture.size) >= 32:
            found.append(np.asarray(picture))
    if not found:
        raise InputError(f"{folder or 'scikit-image'}: no background pictures there; set `backgrounds` to a folder")
    return found


def canvas(
    face: Picture | None,
    scenes: Sequence[Picture],
    others: Sequence[Picture] | Picture,
    rng: np.random.Generator,
    options: Canvas,
    kinds: Sequence[tuple[str, int]] | None = None,
) -> Picture:
    """One canvas (SIZE, SIZE, 3): the face (if any) in its middle, FACE pixels wide, upright.

    Args:
        face: an aligned face, square.
        scenes: pictures without faces.
        others: aligned faces, of which the margins become surroundings.
        rng: the canvas's own.
        options: shares and sizes.
        kinds: damage to do, (kind, severity) in order; drawn where None.
    """
    side = round(np.exp(rng.uniform(np.log(options.smallest), np.log(options.largest))))
    wide = int(np.ceil(side * SIZE / FACE))
    around = surroundings(wide, scenes, others, rng)
    whole = around
    if face is not None:
        own = shrunk(face, side)
        pad = (wide - side) // 2
        keep = rng.integers(int(0.36 * side), side // 2 + 1, 4)
        y0, y1, x0, x1 = side // 2 - keep[0], side // 2 + keep[1], side // 2 - keep[2], side // 2 + keep[3]
        rest = wide - side - pad
        mirrored = np.pad(
            own[y0:y1, x0:x1], ((pad + y0, rest + side - y1), (pad + x0, rest + side - x1), (0, 0)), mode="reflect"
        )
        if rng.random() < options.mirrored:
            whole = mirrored
        else:
            mask = blob(wide, pad + side / 2, side, rng)[..., None]
            whole = (around + mask * (mirrored.astype(np.float32) - around)).astype(np.uint8)
    whole = light(whole, rng, options.colourless)
    for kind, severity in drawn(rng, options.damaged) if kinds is None else kinds:
        whole = corrupt(whole, kind, severity, rng, "64")
    return np.asarray(PIL.Image.fromarray(whole).resize((SIZE, SIZE), PIL.Image.Resampling.BICUBIC))


def surroundings(
    wide: int, scenes: Sequence[Picture], others: Sequence[Picture] | Picture, rng: np.random.Generator
) -> Picture:
    """A square without a face: a part of a scene, a blown-up margin of a portrait, or a drawn texture."""
    draw = rng.random()
    if draw < 0.45:
        return part(scenes[int(rng.integers(len(scenes)))], wide, rng)
    if draw < 0.85:
        portrait = others[int(rng.integers(len(others)))]
        side = len(portrait)
        margins = (portrait[: side // 4], portrait[:, : side // 4], portrait[:, -side // 4 :], portrait[-side // 8 :])
        return part(margins[int(rng.integers(4))], wide, rng)
    return texture(wide, rng)


def part(scene: Picture, wide: int, rng: np.random.Generator) -> Picture:
    """A random part of a picture, turned, mirrored and scaled to (wide, wide, 3)."""
    height, width = scene.shape[:2]
    side = max(8, int(min(height, width) * np.exp(rng.uniform(np.log(0.25), 0))))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    cut = np.rot90(scene[y : y + side, x : x + side], int(rng.integers(4)))
    return shrunk(np.ascontiguousarray(cut[:, ::-1] if rng.random() < 0.5 else cut), wide)


def texture(wide: int, rng: np.random.Generator) -> Picture:
    """Noise of a few octaves between two colours, or bars."""
    if rng.random() < 0.3:
        turn, pitch = rng.uniform(0, np.pi), rng.uniform(3, wide)
        y, x = np.mgrid[:wide, :wide]
        field = np.sin(2 * np.pi * (x * np.cos(turn) + y * np.sin(turn)) / pitch) > rng.uniform(-0.5, 0.5)
        plane = field.astype(np.float32)
    else:
        plane = np.zeros((wide, wide), np.float32)
        for octave in range(1, 6):
            grain = rng.random((2**octave, 2**octave), dtype=np.float32) / octave
            plane += np.asarray(PIL.Image.fromarray(grain).resize((wide, wide), PIL.Image.Resampling.BICUBIC))
        plane = (plane - plane.min()) / np.ptp(plane)
    low, high = rng.uniform(0, 255, (2, 3))
    out: Picture = np.clip(low + plane[..., None] * (high - low), 0, 255).astype(np.uint8)
    return out


def blob(wide: int, middle: float, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A soft-edged superellipse about the face, never the same: (wide, wide) in [0, 1]."""
    radius = rng.uniform(0.36, 0.62, 2) * side
    place = middle + rng.uniform(-0.06, 0.06, 2) * side + np.array([0.0, 0.06 * side])
    power, soft = rng.uniform(2, 6), rng.uniform(0.02, 0.25)
    y, x = np.mgrid[:wide, :wide] + 0.5
    far = (np.abs((x - place[0]) / radius[0]) ** power + np.abs((y - place[1]) / radius[1]) ** power) ** (1 / power)
    out: NDArray[np.float32] = np.clip((1 - far) / soft + 0.5, 0, 1).astype(np.float32)
    return out


def light(picture: Picture, rng: np.random.Generator, colourless: float) -> Picture:
    """Other light: gamma, contrast, cast; a share is made grey."""
    x = (picture.astype(np.float32) + 0.5) / 256
    if rng.random() < colourless:
        x = np.repeat((x @ LUMA.astype(np.float32))[..., None], 3, axis=2)
    x = x ** np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    contrast = np.exp(rng.normal(-0.1, 0.3))
    x = (x - 0.5) * contrast + 0.5 + rng.normal(0, 0.06)
    out: Picture = np.clip(x * 255, 0, 255).astype(np.uint8)
    return out


def drawn(rng: np.random.Generator, share: float) -> list[tuple[str, int]]:
    """Damage of one canvas."""
    count = 0 if rng.random() >= share else 1 + int(rng.random() < 1 / 3)
    return [(KINDS[rng.integers(len(KINDS))], int(rng.integers(1, 6))) for _ in range(count)]


def shrunk(picture: Picture, side: int) -> Picture:
    """A square picture at another side: area means where it shrinks, bicubic where it grows."""
    if len(picture) == side:
        return picture
    how = PIL.Image.Resampling.BOX if len(picture) > side else PIL.Image.Resampling.BICUBIC
    return np.asarray(PIL.Image.fromarray(picture).resize((side, side), how))
