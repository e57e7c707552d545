"""Canvases: degraded pictures with one aligned face in the centre, or none, in random surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.errors import InputError
from odekit.images.colour import LUMA_WEIGHTS
from odekit.images.formats.decode import open_picture
from odekit.images.formats.names import READABLE
from odekit.parts.corruptions.kinds import KINDS, corrupt
from odekit.training.options.aligner import CanvasOptions

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""

CANVAS_SIDE = 160
"""Side of a canvas in pixels."""
FACE_SIDE = 72
"""Side of the aligned face in its centre, in pixels."""
SKIMAGE_PICTURES = (
    "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png",
    "hubble_deep_field.jpg", "brick.png", "grass.png", "gravel.png", "page.png", "ihc.png",
)  # fmt: skip
"""Pictures without people in the wheel of scikit-image."""
SKIMAGE_FREE_PHOTOGRAPHS = (
    "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg", "coins.png", "hubble_deep_field.jpg",
    "brick.png", "grass.png", "gravel.png",
)  # fmt: skip
"""Those of them that are photographs and free to use (CC0, or no known copyright restrictions)."""


def load_backgrounds(folder: Path | None, names: Sequence[str] = SKIMAGE_PICTURES, side: int = 512) -> list[Picture]:
    """Photographs without faces, reduced to at most `side` pixels; those below 32 pixels are skipped.

    Args:
        folder: the folder of the photographs, with its subfolders; None takes those of scikit-image.
        names: file names of the pictures of scikit-image.
        side: largest side in pixels.

    Raises:
        InputError: there are no such pictures.
    """
    if folder is None:
        import skimage

        data = Path(skimage.__file__).parent / "data"
        files = [data / name for name in names if (data / name).is_file()]
    else:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE)
    pictures = []
    for path in files:
        with open_picture(path.read_bytes()) as file:
            picture = file.convert("RGB")
        picture.thumbnail((side, side))
        if min(picture.size) >= 32:
            pictures.append(np.asarray(picture))
    if not pictures:
        raise InputError(f"{folder or 'scikit-image'}: no background pictures there; set `backgrounds` to a folder")
    return pictures


def compose_canvas(
    face: Picture | None,
    scenes: Sequence[Picture],
    others: Sequence[Picture] | Picture,
    rng: np.random.Generator,
    options: CanvasOptions,
    kinds: Sequence[tuple[str, int]] | None = None,
) -> Picture:
    """One canvas (CANVAS_SIDE, CANVAS_SIDE, 3), with the face (if any) upright in its centre, FACE_SIDE pixels wide.

    Args:
        face: an aligned face, square, or None.
        scenes: pictures without faces, for the surroundings.
        others: aligned faces whose margins serve as surroundings.
        rng: the random generator.
        options: shares and sizes.
        kinds: corruptions to apply, (kind, severity) in order; None draws them.
    """
    side = round(np.exp(rng.uniform(np.log(options.smallest), np.log(options.largest))))
    width = int(np.ceil(side * CANVAS_SIDE / FACE_SIDE))
    background = random_surroundings(width, scenes, others, rng)
    picture = background
    if face is not None:
        small_face = resize_square(face, side)
        before = (width - side) // 2
        after = width - side - before
        keep = rng.integers(int(0.36 * side), side // 2 + 1, 4)
        y0, y1, x0, x1 = side // 2 - keep[0], side // 2 + keep[1], side // 2 - keep[2], side // 2 + keep[3]
        margins = ((before + y0, after + side - y1), (before + x0, after + side - x1), (0, 0))
        mirrored = np.pad(small_face[y0:y1, x0:x1], margins, mode="reflect")
        if rng.random() < options.mirrored:
            picture = mirrored
        else:
            mask = superellipse_mask(width, before + side / 2, side, rng)[..., None]
            picture = (background + mask * (mirrored.astype(np.float32) - background)).astype(np.uint8)
    picture = random_light(picture, rng, options.colourless)
    for kind, severity in draw_corruptions(rng, options.damaged) if kinds is None else kinds:
        picture = corrupt(picture, kind, severity, rng, "64")
    return np.asarray(PIL.Image.fromarray(picture).resize((CANVAS_SIDE, CANVAS_SIDE), PIL.Image.Resampling.BICUBIC))


def random_surroundings(
    width: int, scenes: Sequence[Picture], others: Sequence[Picture] | Picture, rng: np.random.Generator
) -> Picture:
    """A picture (width, width, 3) without a face: part of a scene, enlarged margin of a portrait, or texture."""
    draw = rng.random()
    if draw < 0.45:
        return random_part(scenes[int(rng.integers(len(scenes)))], width, rng)
    if draw < 0.85:
        portrait = others[int(rng.integers(len(others)))]
        side = len(portrait)
        margins = (portrait[: side // 4], portrait[:, : side // 4], portrait[:, -side // 4 :], portrait[-side // 8 :])
        return random_part(margins[int(rng.integers(4))], width, rng)
    return random_texture(width, rng)


def random_part(scene: Picture, out_width: int, rng: np.random.Generator) -> Picture:
    """A random square of a picture, rotated, mirrored and resized to (out_width, out_width, 3)."""
    height, width = scene.shape[:2]
    side = max(8, int(min(height, width) * np.exp(rng.uniform(np.log(0.25), 0))))
    y, x = rng.integers(height - side + 1), rng.integers(width - side + 1)
    crop = np.rot90(scene[y : y + side, x : x + side], int(rng.integers(4)))
    return resize_square(np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop), out_width)


def random_texture(width: int, rng: np.random.Generator) -> Picture:
    """Noise of five octaves between two colours, or bars: (width, width, 3)."""
    if rng.random() < 0.3:
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(3, width)
        y, x = np.mgrid[:width, :width]
        bars = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / pitch) > rng.uniform(-0.5, 0.5)
        plane = bars.astype(np.float32)
    else:
        plane = np.zeros((width, width), np.float32)
        for octave in range(1, 6):
            grain = rng.random((2**octave, 2**octave), dtype=np.float32) / octave
            plane += np.asarray(PIL.Image.fromarray(grain).resize((width, width), PIL.Image.Resampling.BICUBIC))
        plane = (plane - plane.min()) / np.ptp(plane)
    low, high = rng.uniform(0, 255, (2, 3))
    out: Picture = np.clip(low + plane[..., None] * (high - low), 0, 255).astype(np.uint8)
    return out


def superellipse_mask(width: int, middle: float, side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A random soft-edged superellipse around a face of this side centred at `middle`: (width, width) in [0, 1]."""
    radius = rng.uniform(0.36, 0.62, 2) * side
    centre = middle + rng.uniform(-0.06, 0.06, 2) * side + np.array([0.0, 0.06 * side])
    power, edge = rng.uniform(2, 6), rng.uniform(0.02, 0.25)
    y, x = np.mgrid[:width, :width] + 0.5
    norm = (np.abs((x - centre[0]) / radius[0]) ** power + np.abs((y - centre[1]) / radius[1]) ** power) ** (1 / power)
    mask: NDArray[np.float32] = np.clip((1 - norm) / edge + 0.5, 0, 1).astype(np.float32)
    return mask


def random_light(picture: Picture, rng: np.random.Generator, colourless: float) -> Picture:
    """Random gamma, colour cast, contrast and brightness; a share `colourless` of the pictures becomes grey."""
    x = (picture.astype(np.float32) + 0.5) / 256
    if rng.random() < colourless:
        x = np.repeat((x @ LUMA_WEIGHTS.astype(np.float32))[..., None], 3, axis=2)
    x = x ** np.exp(rng.normal(0, 0.3)) * np.exp(rng.normal(0, 0.08, 3)).astype(np.float32)
    contrast = np.exp(rng.normal(-0.1, 0.3))
    x = (x - 0.5) * contrast + 0.5 + rng.normal(0, 0.06)
    out: Picture = np.clip(x * 255, 0, 255).astype(np.uint8)
    return out


def draw_corruptions(rng: np.random.Generator, share: float) -> list[tuple[str, int]]:
    """Random corruptions of one canvas, (kind, severity): none, one or two; `share` is the probability of any."""
    count = 0 if rng.random() >= share else 1 + int(rng.random() < 1 / 3)
    return [(KINDS[rng.integers(len(KINDS))], int(rng.integers(1, 6))) for _ in range(count)]


def resize_square(picture: Picture, side: int) -> Picture:
    """A square picture resized to `side`: area means to reduce, bicubic to enlarge."""
    if len(picture) == side:
        return picture
    filter_ = PIL.Image.Resampling.BOX if len(picture) > side else PIL.Image.Resampling.BICUBIC
    return np.asarray(PIL.Image.fromarray(picture).resize((side, side), filter_))
