"""The perceptual colour difference CIEDE2000."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.images.colour import scikit_image_color, srgb_to_lab
from odekit.parts.metrics.base import same_size


class Ciede2000(Options):
    """The metric `ciede2000` has no options."""

    part = "ciede2000"


class Ciede2000Metric:
    """The mean over the pixels of CIEDE2000 (Sharma, Wu and Dalal 2005, doi:10.1002/col.20070), by scikit-image.

    0 is equal; about 1 is just visible on large patches.
    """

    lower_is_better = True
    label: ClassVar[str] = "CIEDE2000"
    light: ClassVar[bool] = True

    def __init__(self, options: Ciede2000 | None = None, tools: Tools | None = None) -> None:
        self.options = options or Ciede2000()

    def measure(self, restored: Image, reference: Image) -> float:
        """The mean difference. Raises InputError if the sizes differ, PluginError without scikit-image."""
        a, b = (srgb_to_lab(pixels.astype(np.float64)) for pixels in same_size(restored, reference))
        return float(scikit_image_color().deltaE_ciede2000(a, b, channel_axis=0).mean())
