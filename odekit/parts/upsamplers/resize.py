"""The upsampler `resize`: plain resampling, the baseline for learned upsamplers."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field as Limits

from odekit.core.image import Image
from odekit.core.interfaces import Tools, UpsamplerSpec
from odekit.core.noise import Noise
from odekit.core.options import Options
from odekit.images.resize import Filter, resized


class Resize(Options):
    """Options of the upsampler `resize`."""

    part = "resize"
    scale: float = Limits(default=4.0, gt=0, le=64)
    """Scale factor: output side over input side."""
    filter: Filter = "lanczos"


class ResizeUpsampler:
    """Resampling with Pillow in float, on sRGB-encoded values."""

    def __init__(self, options: Resize | None = None, tools: Tools | None = None) -> None:
        self.options = options or Resize()
        self.spec = UpsamplerSpec(scale=self.options.scale)

    def upsample(self, images: Sequence[Image], rng: Sequence[Noise]) -> list[Image]:
        """One resized image per image, in order; alpha is resized too."""
        scale = self.options.scale
        return [
            resized(i, max(1, round(i.height * scale)), max(1, round(i.width * scale)), self.options.filter)
            for i in images
        ]
