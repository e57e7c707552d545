"""Peak signal-to-noise ratio."""

from __future__ import annotations

from typing import ClassVar

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.core.psnr import psnr
from odekit.parts.metrics.base import same_size


class Psnr(Options):
    """The metric `psnr` has no options."""

    part = "psnr"


class PsnrMetric:
    """`-10 log10(mean squared error)` in dB over all pixels and channels, peak 1; infinite for equal pictures."""

    lower_is_better = False
    label: ClassVar[str] = "PSNR"
    unit: ClassVar[str] = "dB"
    light: ClassVar[bool] = True

    def __init__(self, options: Psnr | None = None, tools: Tools | None = None) -> None:
        self.options = options or Psnr()

    def measure(self, restored: Image, reference: Image) -> float:
        """PSNR in dB. Raises InputError if the sizes differ."""
        return psnr(*same_size(restored, reference))
