"""NIQE (Mittal et al., 2013, doi:10.1109/LSP.2012.2227726): how far a picture's statistics are from natural ones."""

from __future__ import annotations

import math
import warnings
from typing import ClassVar

import numpy as np

from odekit.errors import InputError
from odekit.plugins import Image, Tools
from odekit_basicsr.library import module
from odekit_basicsr.options import Niqe

BLOCK = 96
"""Side of a block in pixels, as in the reference statistics of natural pictures."""


class NiqeMetric:
    """basicsr's NIQE of the restored picture. Lower is better; natural photographs have about 3 to 5."""

    lower_is_better = True
    label: ClassVar[str] = "NIQE"
    unit: ClassVar[str] = ""

    def __init__(self, options: Niqe | None = None, tools: Tools | None = None) -> None:
        """Import basicsr. Raises PluginError if that fails."""
        self.options = options or Niqe()
        self.basicsr = module("metrics.niqe")

    def measure(self, restored: Image, reference: Image | None = None) -> float:
        """NIQE of the restored picture, rounded to 8 bits. The reference is ignored.

        NaN if the picture has no texture (one flat colour).

        Raises:
            InputError: the picture is smaller than two blocks of 96 pixels.
        """
        crop = self.options.crop
        blocks = [max(0, side - 2 * crop) // BLOCK for side in (restored.height, restored.width)]
        if blocks[0] * blocks[1] < 2:
            raise InputError(
                f"niqe needs two blocks of {BLOCK} px or more; this picture has {restored.width}x{restored.height} px"
                f"{f', {crop} removed at each side' if crop else ''}: measure after an upsampler"
            )
        bgr = restored.to_uint8()[..., ::-1]
        convert = "y" if self.options.channel == "luma" else "gray"
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # blocks without texture, which basicsr ignores
            try:
                return float(self.basicsr.calculate_niqe(bgr, crop, input_order="HWC", convert_to=convert))
            except np.linalg.LinAlgError:
                return math.nan
