"""The stage `denoise`: measures the noise of a whole photograph and removes it. A clean photograph is not changed.

Non-local means (Buades, Coll, Morel 2005, doi:10.1109/CVPR.2005.38) from scikit-image, in tiles, so that memory does
not grow with the photograph.
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
from odekit.parts.repair.tiles import apply_in_tiles

BLOCK = 32
"""Side of the blocks in which noise is measured, in pixels."""
MAX_BLOCKS = 2048
"""Approximate number of blocks, evenly spread."""
MIN_BLOCKS = 12
"""Smallest number of usable blocks, neither black nor white, for a measurement."""
UNCLIPPED_RANGE = (0.02, 0.98)
"""Range of pixels that count as neither black nor white."""
TILE = 512
PATCH, SEARCH_DISTANCE = 5, 7
"""Side of the compared patches, and search distance, in pixels."""
H_FACTOR = 0.6
"""scikit-image's `h` over the noise, as its documentation recommends when `sigma` is given."""
MARGIN = SEARCH_DISTANCE + PATCH // 2 + 1
"""Pixels around a tile that its result depends on."""


class DenoiseStage:
    """See `odekit.parts.repair.options.Denoise`."""

    def __init__(self, options: Denoise | None = None, tools: Tools | None = None) -> None:
        """Import scikit-image.

        Raises:
            PluginError: it is not installed.
        """
        self.options = options or Denoise()
        import_nl_means()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Photographs, denoised if their noise is at least `least`. The measured noise goes to the record."""
        out = []
        for i, image in enumerate(batch):
            noise = estimate_noise(image.pixels) if self.options.noise == "auto" else self.options.noise
            noisy = noise >= self.options.least
            context.note(i, noise=round(noise, 4), denoised=noisy)
            out.append(image.with_pixels(remove_noise(image, noise * self.options.amount)) if noisy else image)
        return out


def estimate_noise(pixels: Pixels) -> float:
    """Standard deviation of the noise of a photograph (3, H, W) in [0, 1], mean over the channels; 0 if unknown.

    For each of many small blocks: the median absolute value of a 3 x 3 difference of Laplacians (Immerkaer 1996,
    doi:10.1006/cviu.1996.0060) over 0.6745. The result is the lower quartile over the blocks, because texture looks
    like noise, and most photographs are smooth in a quarter of the blocks. Black or white blocks hide noise and are
    ignored.
    """
    height, width = pixels.shape[1:]
    rows, columns = height // BLOCK, width // BLOCK
    stride = max(1, int(np.ceil(np.sqrt(rows * columns / MAX_BLOCKS))))
    levels = []
    for top in range(0, rows * BLOCK, stride * BLOCK):
        strip = pixels[:, top : top + BLOCK, : columns * BLOCK].reshape(3, BLOCK, columns, BLOCK)[:, :, ::stride]
        blocks = strip.transpose(2, 0, 1, 3)
        usable = ((blocks > UNCLIPPED_RANGE[0]) & (blocks < UNCLIPPED_RANGE[1])).mean((1, 2, 3)) > 0.9
        if not usable.any():
            continue
        blocks = blocks[usable]
        across = blocks[..., :-2] - 2 * blocks[..., 1:-1] + blocks[..., 2:]
        laplacian = (across[..., :-2, :] - 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 6
        levels += list(np.median(np.abs(laplacian), axis=(2, 3)).mean(1) / 0.6745)
    return float(np.quantile(levels, 0.25)) if len(levels) >= MIN_BLOCKS else 0.0


def remove_noise(image: Image, noise: float) -> Pixels:
    """The pixels with noise of this standard deviation removed. A grey photograph stays exactly grey."""
    planes = image.pixels[:1] if image.meta.grey else image.pixels
    out = apply_in_tiles(lambda tile: nonlocal_means(tile, noise), planes, TILE, MARGIN)
    return np.repeat(out, 3, axis=0) if image.meta.grey else out


def nonlocal_means(planes: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Non-local means of (C, H, W) for noise of this standard deviation."""
    height, width = planes.shape[1:]
    padding = [(0, 0), (0, max(0, PATCH - height)), (0, max(0, PATCH - width))]
    values = np.pad(planes.astype(np.float64), padding, mode="edge")
    grey = len(values) == 1  # with a channel axis of 1, scikit-image would exchange rows and columns
    result = import_nl_means()(
        values[0] if grey else values, patch_size=PATCH, patch_distance=SEARCH_DISTANCE, h=H_FACTOR * noise,
        sigma=noise, fast_mode=True, channel_axis=None if grey else 0,
    )  # fmt: skip
    out: NDArray[np.float32] = np.clip(result.reshape(values.shape)[:, :height, :width], 0, 1).astype(np.float32)
    return out


def import_nl_means() -> Any:
    """scikit-image's `denoise_nl_means`.

    Raises:
        PluginError: it is not installed.
    """
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError as error:
        raise PluginError(
            f"the stage 'denoise' needs scikit-image ({error}); pip install 'odekit[photos]', or remove the stage"
        ) from error
    return denoise_nl_means
