"""Small input pictures of an upsampler in training: a share of them slightly blurred, noisy and compressed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import SmallInputOptions

if TYPE_CHECKING:
    from torch import Tensor


def degrade(small: Tensor, rng: np.random.Generator, options: SmallInputOptions) -> Tensor:
    """Degrade pictures (N, 3, H, W) in [0, 1] as in `options`; a share of them stays unchanged."""
    import torch

    out = []
    for picture in small:
        clean = rng.random() < options.clean
        sigma, level = rng.uniform(0, options.blur), rng.uniform(0, options.noise)
        compressed, quality = rng.random() < 0.5, int(rng.integers(options.jpeg, 101))
        grain = rng.standard_normal(tuple(picture.shape), dtype=np.float32)
        if not clean:
            picture = (gaussian_blur(picture, sigma) + float(level) * torch.from_numpy(grain)).clamp(0, 1)
            picture = compress_jpeg(picture, quality) if compressed else picture
        out.append(picture)
    return torch.stack(out)


def gaussian_blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of a picture (3, H, W), with the kernel cut at 3 sigma and mirrored edges; unchanged at 0."""
    import torch
    from torch.nn import functional

    reach = int(np.ceil(3 * sigma))
    if reach == 0:
        return picture
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(picture[:, None], (reach,) * 4, mode="reflect")
    horizontal = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(horizontal, kernel.view(1, 1, -1, 1))[:, 0]


def compress_jpeg(picture: Tensor, quality: int) -> Tensor:
    """JPEG compression (Pillow, 4:2:0) of a picture (3, H, W) in [0, 1] at this quality."""
    import torch
    from PIL import Image

    pixels = (picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    decoded: NDArray[np.uint8] = np.array(Image.open(file))
    return torch.from_numpy(decoded).permute(2, 0, 1).float() / 255


def enlarge_lanczos(small: Tensor, scale: int) -> Tensor:
    """Pillow's Lanczos enlargement in float, clipped to [0, 1]: the baseline of a learned upsampler."""
    import torch
    from PIL import Image

    height, width = small.shape[2] * scale, small.shape[3] * scale
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.LANCZOS))
        for plane in small.reshape(-1, *small.shape[2:])
    ]
    return torch.from_numpy(np.stack(planes)).view(*small.shape[:2], height, width).clamp(0, 1)
