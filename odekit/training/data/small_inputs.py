"""Small pictures for an upsampler to learn from: area-reduced, some of them a little blurred, noisy and compressed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odekit.training.options.base import Inputs

if TYPE_CHECKING:
    from torch import Tensor


def worsen(small: Tensor, rng: np.random.Generator, options: Inputs) -> Tensor:
    """Apply the options' damage to pictures (N, 3, H, W) in [0, 1]; a share of them stays as it is."""
    import torch

    out = []
    for picture in small:
        clean = rng.random() < options.clean
        sigma, level = rng.uniform(0, options.blur), rng.uniform(0, options.noise)
        compressed, quality = rng.random() < 0.5, int(rng.integers(options.jpeg, 101))
        grain = rng.standard_normal(tuple(picture.shape), dtype=np.float32)
        if not clean:
            picture = (blur(picture, sigma) + float(level) * torch.from_numpy(grain)).clamp(0, 1)
            picture = jpeg(picture, quality) if compressed else picture
        out.append(picture)
    return torch.stack(out)


def blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (3, H, W), kernel out to 3 sigma, edges mirrored; unchanged at 0."""
    import torch
    from torch.nn import functional

    reach = int(np.ceil(3 * sigma))
    if reach == 0:
        return picture
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float32) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(picture[:, None], (reach,) * 4, mode="reflect")
    across = functional.conv2d(padded, kernel.view(1, 1, 1, -1))
    return functional.conv2d(across, kernel.view(1, 1, -1, 1))[:, 0]


def jpeg(picture: Tensor, quality: int) -> Tensor:
    """(3, H, W) in [0, 1] through a JPEG file of this quality (Pillow, 4:2:0)."""
    import torch
    from PIL import Image

    pixels = (picture * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    back: NDArray[np.uint8] = np.array(Image.open(file))
    return torch.from_numpy(back).permute(2, 0, 1).float() / 255


def lanczos(small: Tensor, scale: int) -> Tensor:
    """What a learned upsampler is compared with: Pillow's Lanczos in float, (N, 3, H, W) in [0, 1], clipped."""
    import torch
    from PIL import Image

    height, width = small.shape[2] * scale, small.shape[3] * scale
    planes = [
        np.asarray(Image.fromarray(plane.numpy()).resize((width, height), Image.Resampling.LANCZOS))
        for plane in small.reshape(-1, *small.shape[2:])
    ]
    return torch.from_numpy(np.stack(planes)).view(*small.shape[:2], height, width).clamp(0, 1)
