"""Scratched crops and the same without scratches, both blurred, noisy or compressed now and then."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.training.data import scratch_marks
from odekit.training.options.scratches import Damage

Crop = NDArray[np.float32]
"""(S, S, 3) in [0, 1]."""
VISIBLE = 0.04
"""A scratch shows where it changes a value by more: ten of 255 levels."""


def spoiled(
    picture: Crop, rng: np.random.Generator, options: Damage, scratched: bool | None = None
) -> tuple[Crop, Crop, NDArray[np.bool_]]:
    """A crop with scratches, the same without them, and where they show (S, S); both rounded to 8 bits.

    What else befell it (blur, light noise, compression before or after) is in both: scratches alone are to be undone.
    Whether there are any is drawn, or told by `scratched`.
    """
    if rng.random() < options.blurred:
        picture = blurred(picture, rng, options.blur * float(rng.random()))
    if rng.random() < options.grainy:
        picture = noisy(picture, rng, options.noise * float(rng.random()))
    quality = int(rng.integers(options.jpeg, 96))
    squeezed, late = rng.random() < options.compressed, rng.random() < 0.4
    if squeezed and not late:
        picture = compressed(picture, rng, quality)
    clean = rng.random() < options.clean if scratched is None else not scratched
    marked = picture if clean else scratch_marks.scratched(picture, rng, options)
    shown = np.abs(marked - picture).max(2) > VISIBLE
    if rng.random() < options.soft:  # a scan is softer than the scratch it sees
        both = blurred(np.concatenate([marked, picture], 2), rng, float(rng.uniform(0.3, 0.8)))
        marked, picture = both[..., :3], both[..., 3:]
    if squeezed and late:
        sampling = int(rng.random() < 0.7) * 2
        marked, picture = (_jpeg(each, quality, sampling) for each in (marked, picture))
    return _rounded(marked), _rounded(picture), shown


def blurred(picture: Crop, rng: np.random.Generator, sigma: float) -> Crop:
    """Blur by a Gaussian, a disc or a straight trail with this standard deviation along its axes."""
    if sigma < 0.2:
        return picture
    reach = int(np.ceil(2.5 * sigma)) if sigma else 0
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    draw = rng.random()
    if draw < 0.5:
        kernel = np.exp(-(x * x + y * y) / (2 * sigma**2))
    elif draw < 0.75:
        kernel = np.clip(2 * sigma + 0.5 - np.hypot(x, y), 0, 1)  # a disc's variance along an axis is r^2 / 4
    else:
        turn = rng.uniform(0, np.pi)
        along, beside = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        kernel = np.clip(np.sqrt(3) * sigma + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(beside), 0, 1)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    wide = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    return _convolved(wide, kernel)


def _convolved(wide: Crop, kernel: NDArray[np.float32]) -> Crop:
    import torch
    from torch.nn import functional

    planes = torch.from_numpy(np.ascontiguousarray(wide.transpose(2, 0, 1)))[:, None]
    out = functional.conv2d(planes, torch.from_numpy(np.ascontiguousarray(kernel[::-1, ::-1]))[None, None])
    result: Crop = np.ascontiguousarray(out[:, 0].permute(1, 2, 0).numpy())
    return result


def noisy(picture: Crop, rng: np.random.Generator, sigma: float) -> Crop:
    """Gaussian (most), grey, coarse, shot, speckle or impulse noise of about this standard deviation."""
    draw, shape = rng.random(), picture.shape
    if draw < 0.1:
        share = min(0.3, 4 * sigma**2)  # values that become black or white
        chance = rng.random(shape, dtype=np.float32)
        return np.where(chance < share, np.float32(chance < share / 2), picture).astype(np.float32)
    grain: Crop = rng.standard_normal((*shape[:2], 1) if draw < 0.3 else shape, dtype=np.float32)
    if 0.2 < draw < 0.4:  # grain that is coarser than a pixel
        grain = grain + np.roll(grain, 1, 0)
        grain = (grain + np.roll(grain, 1, 1)) / np.float32(2)
    scale: Crop | float = sigma
    if 0.75 < draw < 0.88:
        scale = np.float32(1.4 * sigma) * np.sqrt(picture)
    elif draw >= 0.88:
        scale = np.float32(2 * sigma) * picture
    return np.clip(picture + scale * grain, 0, 1).astype(np.float32)


def compressed(picture: Crop, rng: np.random.Generator, quality: int) -> Crop:
    """Through a JPEG file of this quality, chroma at half size or whole."""
    return _jpeg(picture, quality, 2 if rng.random() < 0.7 else 0)


def _jpeg(picture: Crop, quality: int, sampling: int) -> Crop:
    file = io.BytesIO()
    PIL.Image.fromarray(_bytes(picture)).save(file, "JPEG", quality=quality, subsampling=sampling)
    return np.asarray(PIL.Image.open(file), dtype=np.float32) / np.float32(255)


def _bytes(picture: Crop) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _rounded(picture: Crop) -> Crop:
    return _bytes(picture).astype(np.float32) / np.float32(255)
