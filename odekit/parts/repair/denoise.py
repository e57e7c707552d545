"""The stage `denoise`: measures the noise of a whole photograph and removes it. A clean photograph is not changed.

Impulses (salt and pepper, replaced values) are removed first, where there are any, then Gaussian noise or film grain of
the measured spectrum, by shrinkage of cosine transforms (`odekit.parts.repair.shrink`). Clipping to black and white
shifts the mean of strong noise; the shift is taken back. Large photographs are processed in tiles, several at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odekit.core.abilities import report_phase
from odekit.core.image import Image, Pixels
from odekit.core.interfaces import Tools
from odekit.core.memory import return_free_memory
from odekit.core.threads import in_threads
from odekit.images.colour import LUMA_CHROMA_AXES
from odekit.parts.repair import shrink
from odekit.parts.repair.censored import HIGHEST, LOWEST
from odekit.parts.repair.dct import SIDE
from odekit.parts.repair.impulses import measure_impulses, remove_impulses
from odekit.parts.repair.noise_level import NoiseLevel, measure_noise
from odekit.parts.repair.options import Denoise
from odekit.parts.repair.tiles import apply_in_tiles

Floats = NDArray[np.float32]
TILE, MARGIN = 896, shrink.MARGIN
"""Large tiles repeat less of their margins, and a product of matrices as wide as a tile is done by one thread."""
LARGE = 6_000_000
"""Values of a photograph from which memory is returned first."""
MIN_CLIPPED_RATIO = 0.5
"""Share of clipped values in dark (bright) places over the share that clipped Gaussian noise would have, from which the
noise counts as clipped there."""

MAX_SHIFTED = 5.0
"""Distance from black or white, in standard deviations of the noise, from which clipping shifts no mean (by 1e-7)."""
ROWS = 256
"""Rows of a channel that are corrected at a time."""


class DenoiseStage:
    """See `odekit.parts.repair.options.Denoise`."""

    def __init__(self, options: Denoise | None = None, tools: Tools | None = None) -> None:
        self.options = options or Denoise()

    def run(self, batch: Sequence[Image], context: Any) -> list[Image]:
        """Photographs, denoised if their noise is at least `least`. The measured noise goes to the record."""
        out = []
        for i, image in enumerate(batch):
            report_phase(context, "denoising", i, len(batch))
            small = min(image.height, image.width) < self.options.smallest
            if small or (image.decided.get("noise") is False and image.decided.get("impulses") is False):
                context.note(i, denoised=False)
                out.append(image)
                continue
            cleaned, facts = self.denoise(image)
            context.note(i, **facts)
            if cleaned is not image and len(context.originals) > i and context.originals[i] is image:
                context.original(i, cleaned)  # a guided upsampler must not bring the noise back
            out.append(cleaned)
        return out

    def denoise(self, image: Image) -> tuple[Image, dict[str, Any]]:
        """One photograph, and the facts for the record: the measured noise, None where it is unknown, and why."""
        o = self.options
        facts: dict[str, Any] = {}
        treat_impulses, treat_noise = (image.decided.get(name) for name in ("impulses", "noise"))
        if o.impulses is not False and treat_impulses is not False:
            impulses = measure_impulses(image.pixels)
            remove = impulses.share >= (1e-4 if treat_impulses or o.impulses is True else o.least_impulses)
            if remove:
                image = image.with_pixels(remove_impulses(image, impulses))
            facts["impulses"] = round(impulses.share, 4)
            facts["impulses_removed"] = remove
        if treat_noise is False:
            return image, facts | {"denoised": False}
        level = measure_noise(image.pixels) if o.noise == "auto" else NoiseLevel(o.noise)
        if level.std is None:
            return image, facts | {"noise": None, "noise_unknown": level.reason, "denoised": False}
        visible = level.visible or 0.0
        noisy = level.std > 0 and (bool(treat_noise) or level.std >= o.least or visible >= o.least_grain)
        facts |= {"noise": round(level.std, 4), "denoised": noisy}
        facts |= {"noise_visible": round(visible, 4)} if visible else {}
        facts |= {"grain": level.size} if level.size > 1 else {}
        return image.with_pixels(remove_noise(image, level, o.amount)) if noisy else image, facts


def remove_noise(image: Image, level: NoiseLevel, amount: float = 1.0) -> Pixels:
    """The pixels with noise removed. A grey photograph stays exactly grey.

    Args:
        image: the photograph.
        level: its noise; without a spectrum white, and alike in all channels.
        amount: multiple of the noise that is assumed.
    """
    std = float(level.std or 0) * amount
    if std <= 0:
        return image.pixels
    grey = image.meta.grey
    planes, axes = (image.pixels[:1], np.eye(1)) if grey else (image.pixels, LUMA_CHROMA_AXES)
    spectrum = np.full((len(planes), SIDE, SIDE), std, np.float32)
    if level.spectrum is not None:  # in a grey picture, all noise is on the first axis, which is sqrt(3) times longer
        spectrum = level.spectrum[: len(planes)] * np.float32(amount / (np.sqrt(3) if grey else 1))
    matrix = axes.astype(np.float32)
    if planes.size > LARGE:
        return_free_memory()

    def denoise_tile(tile: Floats) -> Floats:
        rotated = np.einsum("ij,jhw->ihw", matrix, tile)
        clean = [shrink.shrink(plane, noise) for plane, noise in zip(rotated, spectrum, strict=True)]
        out: Floats = np.einsum("ji,jhw->ihw", matrix, np.stack(clean))
        return np.clip(out, 0, 1, out=out)

    out = apply_in_tiles(denoise_tile, planes, TILE, MARGIN)
    if level.visible is None:
        out = undo_clipping(out, planes, std)
    return np.repeat(out, 3, axis=0) if grey else out


def undo_clipping(denoised: Floats, noisy: Floats, std: float) -> Floats:
    """Replace values by those whose mean after Gaussian noise and clipping to [0, 1] they are; returns `denoised`.

    That mean is m (F(b) - F(a)) - s (f(b) - f(a)) + 1 - F(b), with a = -m / s, b = (1 - m) / s, and F and f of the
    standard normal distribution (A. Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising",
    Signal Processing 89, 2009, section 3.1). Each end is corrected only if values are clipped there as often as
    expected.
    """
    import torch

    def ndtr(values: NDArray[Any]) -> Floats:  # that of scipy.special takes a fifth of a second to load
        out: Floats = torch.special.ndtr(torch.from_numpy(values)).numpy()
        return out

    m = np.linspace(-2 * std, 1 + 2 * std, 1001)
    below, above = -m / std, (1 - m) / std
    densities = [np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) for x in (below, above)]
    mean = m * (ndtr(above) - ndtr(below)) - std * (densities[1] - densities[0]) + 1 - ndtr(above)
    parts = [
        (channel, slice(top, top + ROWS))
        for channel in range(len(denoised))
        for top in range(0, denoised.shape[1], ROWS)
    ]

    def near_end(values: Floats, dark: bool) -> NDArray[np.bool_]:
        reach = min(0.5, MAX_SHIFTED * std)
        return (values < reach) & (values < 0.5) if dark else (values >= 0.5) & (values > 1 - reach)

    def true_values(values: Floats) -> Floats:
        true: Floats = np.clip(np.interp(values, mean, m), 0, 1).astype(np.float32)
        return true

    for dark in (True, False):

        def count(part: tuple[int, slice], dark: bool = dark) -> tuple[float, float]:
            inside = near_end(denoised[part], dark)
            true = true_values(denoised[part][inside])
            chance = ndtr(-(true if dark else 1 - true) / std)
            near = chance > 0.2
            seen = noisy[part][inside][near]
            return float((seen <= LOWEST if dark else seen >= HIGHEST).sum()), float(chance[near].sum())

        def correct(part: tuple[int, slice], dark: bool = dark) -> None:
            inside = near_end(denoised[part], dark)
            denoised[part][inside] = true_values(denoised[part][inside])

        clipped, expected = np.sum(in_threads(count, parts), axis=0)
        if clipped > MIN_CLIPPED_RATIO * expected:
            in_threads(correct, parts)
    return denoised
