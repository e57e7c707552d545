"""Pairs of a scratched crop and the same crop without scratches; both may be blurred, noisy or compressed."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from odekit.training.data import scratch_marks
from odekit.training.options.scratches import ScratchDamageOptions

Crop = NDArray[np.float32]
"""(S, S, 3) in [0, 1]."""
VISIBLE_THRESHOLD = 0.05
"""Threshold of the mask: a scratch is visible where it changes a value by more than thirteen of 255 levels."""


def damaged_pair(
    picture: Crop, rng: np.random.Generator, options: ScratchDamageOptions, scratched: bool | None = None
) -> tuple[Crop, Crop, NDArray[np.bool_]]:
    """A crop with scratches, the same crop without them, and the mask (S, S) of visible scratches.

    Both crops are rounded to 8 bits. Blur, noise and compression are in both: the network removes scratches only.

    Args:
        picture: an undamaged crop.
        rng: the random generator.
        options: shares and strengths of the damage.
        scratched: whether there are scratches; None draws it with `options.clean`.
    """
    if rng.random() < options.blurred:
        picture = random_blur(picture, rng, options.blur * float(rng.random()))
    if rng.random() < options.grainy:
        picture = random_noise(picture, rng, options.noise * float(rng.random()))
    quality = int(rng.integers(options.jpeg, 96))
    compress, compress_last = rng.random() < options.compressed, rng.random() < 0.4
    if compress and not compress_last:
        picture = compress_jpeg(picture, rng, quality)
    clean = rng.random() < options.clean if scratched is None else not scratched
    damaged = picture if clean else scratch_marks.add_marks(picture, rng, options)
    mask = np.abs(damaged - picture).max(2) > VISIBLE_THRESHOLD
    if rng.random() < options.soft:  # a scanner also blurs the scratches
        both = random_blur(np.concatenate([damaged, picture], 2), rng, float(rng.uniform(0.3, 0.8)))
        damaged, picture = both[..., :3], both[..., 3:]
    if compress and compress_last:
        sampling = int(rng.random() < 0.7) * 2
        damaged, picture = (_jpeg(each, quality, sampling) for each in (damaged, picture))
    return _rounded(damaged), _rounded(picture), mask


def random_blur(picture: Crop, rng: np.random.Generator, sigma: float) -> Crop:
    """Gaussian, disc or linear motion blur with this standard deviation; unchanged below 0.2."""
    if sigma < 0.2:
        return picture
    reach = int(np.ceil(2.5 * sigma))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    draw = rng.random()
    if draw < 0.5:
        kernel = np.exp(-(x * x + y * y) / (2 * sigma**2))
    elif draw < 0.75:
        kernel = np.clip(2 * sigma + 0.5 - np.hypot(x, y), 0, 1)  # a disc's variance along an axis is r^2 / 4
    else:
        angle = rng.uniform(0, np.pi)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        kernel = np.clip(np.sqrt(3) * sigma + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    padded = np.pad(picture, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    return _convolve(padded, kernel)


def _convolve(padded: Crop, kernel: NDArray[np.float32]) -> Crop:
    import torch
    from torch.nn import functional

    planes = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[:, None]
    out = functional.conv2d(planes, torch.from_numpy(np.ascontiguousarray(kernel[::-1, ::-1]))[None, None])
    result: Crop = np.ascontiguousarray(out[:, 0].permute(1, 2, 0).numpy())
    return result


def random_noise(picture: Crop, rng: np.random.Generator, sigma: float) -> Crop:
    """Noise of about this standard deviation: mostly Gaussian, else grey, coarse, shot, speckle or impulse noise."""
    draw, shape = rng.random(), picture.shape
    if draw < 0.1:
        share = min(0.3, 4 * sigma**2)  # share of the values that become black or white
        chance = rng.random(shape, dtype=np.float32)
        return np.where(chance < share, np.float32(chance < share / 2), picture).astype(np.float32)
    grain: Crop = rng.standard_normal((*shape[:2], 1) if draw < 0.3 else shape, dtype=np.float32)
    if 0.2 < draw < 0.4:  # coarser than a pixel
        grain = grain + np.roll(grain, 1, 0)
        grain = (grain + np.roll(grain, 1, 1)) / np.float32(2)
    scale: Crop | float = sigma
    if 0.75 < draw < 0.88:
        scale = np.float32(1.4 * sigma) * np.sqrt(picture)
    elif draw >= 0.88:
        scale = np.float32(2 * sigma) * picture
    return np.clip(picture + scale * grain, 0, 1).astype(np.float32)


def compress_jpeg(picture: Crop, rng: np.random.Generator, quality: int) -> Crop:
    """JPEG compression at this quality, with or without chroma subsampling."""
    return _jpeg(picture, quality, 2 if rng.random() < 0.7 else 0)


def _jpeg(picture: Crop, quality: int, sampling: int) -> Crop:
    file = io.BytesIO()
    PIL.Image.fromarray(_bytes(picture)).save(file, "JPEG", quality=quality, subsampling=sampling)
    return np.asarray(PIL.Image.open(file), dtype=np.float32) / np.float32(255)


def _bytes(picture: Crop) -> NDArray[np.uint8]:
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def _rounded(picture: Crop) -> Crop:
    return _bytes(picture).astype(np.float32) / np.float32(255)
