"""The stage `denoise`: takes noise off a whole photograph, as much as was measured; a clean one passes byte for byte.

Non-local means (Buades, Coll, Morel 2005, doi:10.1109/CVPR.2005.38) of scikit-image, in tiles, so that memory does not
grow with the photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools
from odekit.errors import PluginError
from odekit.parts.repair.options import Denoise

BLOCK = 32
"""Side of the places where noise is measured."""
PLACES = 2048
FEW = 12
"""A picture with fewer places that are neither black nor white says too little."""
UNCLIPPED = (0.02, 0.98)
TILE = 512
PATCH, REACH = 5, 7
"""Side of the patches that are compared, and how far away they are looked for, in pixels."""
HARDNESS = 0.6
"""scikit-image's `h` over the noise, as it advises where `sigma` is given."""
MARGIN = REACH + PATCH // 2 + 1
"""What a pixel's mean can depend on beyond its tile."""


class DenoiseStage:
    """See `odekit.parts.repair.options.Denoise`."""

    def __init__(self, options: Denoise | None = None, tools: Tools | None = None) -> None:
        """Raises PluginError where scikit-image is not installed."""
        self.options = options or Denoise()
        load()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Each photograph, denoised where its noise is at least `least`; the record says what was measured."""
        out = []
        for i, image in enumerate(batch):
            noise = measured(image.pixels) if self.options.noise == "auto" else self.options.noise
            noisy = noise >= self.options.least
            context.note(i, noise=round(noise, 4), denoised=noisy)
            out.append(image.with_pixels(denoised(image, noise * self.options.amount)) if noisy else image)
        return out


def measured(pixels: Pixels) -> float:
    """Standard deviation of the noise of a photograph (3, H, W) in [0, 1], mean over the channels; 0 where unknown.

    In each of many small places: the median absolute value of a 3 x 3 difference of Laplacians (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060) over 0.6745. Of the places the lower quartile, because texture looks like noise and
    most photographs are smooth in a quarter of them. Places that are black or white hide noise and do not count.
    """
    height, width = pixels.shape[1:]
    rows, columns = height // BLOCK, width // BLOCK
    apart = max(1, int(np.ceil(np.sqrt(rows * columns / PLACES))))
    found = []
    for top in range(0, rows * BLOCK, apart * BLOCK):
        strip = pixels[:, top : top + BLOCK, : columns * BLOCK].reshape(3, BLOCK, columns, BLOCK)[:, :, ::apart]
        places = strip.transpose(2, 0, 1, 3)
        seen = ((places > UNCLIPPED[0]) & (places < UNCLIPPED[1])).mean((1, 2, 3)) > 0.9
        if not seen.any():
            continue
        across = places[seen][..., :-2] - 2 * places[seen][..., 1:-1] + places[seen][..., 2:]
        both = (across[..., :-2, :] - 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 6
        found += list(np.median(np.abs(both), axis=(2, 3)).mean(1) / 0.6745)
    return float(np.quantile(found, 0.25)) if len(found) >= FEW else 0.0


def denoised(image: Image, noise: float) -> Pixels:
    """The pixels with noise of this standard deviation taken off; a grey photograph stays grey to the bit."""
    planes = image.pixels[:1] if image.meta.grey else image.pixels
    out = np.empty_like(planes)
    for top in range(0, image.height, TILE):
        for left in range(0, image.width, TILE):
            y, x = max(0, top - MARGIN), max(0, left - MARGIN)
            tile = planes[:, y : top + TILE + MARGIN, x : left + TILE + MARGIN]
            clean = means(tile, noise)[:, top - y : top - y + TILE, left - x : left - x + TILE]
            out[:, top : top + TILE, left : left + TILE] = clean
    return np.repeat(out, 3, axis=0) if image.meta.grey else out


def means(planes: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Non-local means of (C, H, W)."""
    height, width = planes.shape[1:]
    short = [(0, 0), (0, max(0, PATCH - height)), (0, max(0, PATCH - width))]
    values = np.pad(planes.astype(np.float64), short, mode="edge")
    one = len(values) == 1  # scikit-image would give a single channel back with rows and columns exchanged
    found = load()(
        values[0] if one else values, patch_size=PATCH, patch_distance=REACH, h=HARDNESS * noise, sigma=noise,
        fast_mode=True, channel_axis=None if one else 0,
    )  # fmt: skip
    out: NDArray[np.float32] = np.clip(found.reshape(values.shape)[:, :height, :width], 0, 1).astype(np.float32)
    return out


def load() -> Any:
    """scikit-image's `denoise_nl_means`.

    Raises:
        PluginError: it is not installed.
    """
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError as error:
        raise PluginError(
            f"the stage 'denoise' needs scikit-image ({error}); pip install 'odekit[photos]', or leave the stage out"
        ) from error
    return denoise_nl_means
