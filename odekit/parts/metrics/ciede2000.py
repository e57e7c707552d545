"""The perceptual colour difference CIEDE2000."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from odekit.core.image import Image
from odekit.core.interfaces import Tools
from odekit.core.options import Options
from odekit.parts.metrics.base import same_size

XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)  # fmt: skip
"""Linear sRGB to XYZ (IEC 61966-2-1)."""
WHITE = np.array([0.95047, 1.0, 1.08883])
"""White point: D65, 2 degree observer."""
Plane = NDArray[np.float64]


class Ciede2000(Options):
    """The metric `ciede2000` has no options."""

    part = "ciede2000"


class Ciede2000Metric:
    """The mean over the pixels of CIEDE2000 (Sharma, Wu and Dalal 2005, doi:10.1002/col.20070, eqs. 2 to 22).

    0 is equal; about 1 is just visible on large patches.
    """

    lower_is_better = True
    label: ClassVar[str] = "CIEDE2000"
    light: ClassVar[bool] = True

    def __init__(self, options: Ciede2000 | None = None, tools: Tools | None = None) -> None:
        self.options = options or Ciede2000()

    def measure(self, restored: Image, reference: Image) -> float:
        """The mean difference. Raises InputError if the sizes differ."""
        a, b = same_size(restored, reference)
        return float(difference(lab(a), lab(b)).mean())


def lab(pixels: Plane) -> Plane:
    """sRGB-encoded RGB (3, ...) in [0, 1] as CIE L*a*b* (3, ...), D65."""
    linear = np.where(pixels > 0.04045, ((pixels + 0.055) / 1.055) ** 2.4, pixels / 12.92)
    ratio = np.tensordot(XYZ / WHITE[:, None], linear, 1)
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def difference(one: Plane, two: Plane) -> Plane:
    """CIEDE2000 of every pixel of two pictures (3, ...) in L*a*b*, weights kL = kC = kH = 1."""
    (light1, a1, b1), (light2, a2, b2) = one, two
    chroma7 = seventh((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    a_scale = 1.5 - 0.5 * np.sqrt(chroma7 / (chroma7 + 25.0**7))
    a1, a2 = a_scale * a1, a_scale * a2
    chroma1, chroma2 = np.hypot(a1, b1), np.hypot(a2, b2)
    hue1, hue2 = (np.arctan2(b, a) % (2 * np.pi) for a, b in ((a1, b1), (a2, b2)))
    grey = chroma1 * chroma2 == 0

    hue_difference = hue2 - hue1
    wraps = np.abs(hue_difference) > np.pi
    hue_difference = np.where(
        grey, 0.0, np.where(wraps, hue_difference - np.copysign(2 * np.pi, hue_difference), hue_difference)
    )
    hue_sum = hue1 + hue2
    wrapped_sum = np.where(hue_sum < 2 * np.pi, hue_sum + 2 * np.pi, hue_sum - 2 * np.pi)
    mean_hue = np.where(grey, hue_sum, np.where(wraps, wrapped_sum, hue_sum) / 2)

    d_light, d_chroma = light2 - light1, chroma2 - chroma1
    d_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(hue_difference / 2)
    light_offset = ((light1 + light2) / 2 - 50) ** 2
    mean_chroma = (chroma1 + chroma2) / 2
    t = (
        1
        - 0.17 * np.cos(mean_hue - np.pi / 6)
        + 0.24 * np.cos(2 * mean_hue)
        + 0.32 * np.cos(3 * mean_hue + np.pi / 30)
        - 0.20 * np.cos(4 * mean_hue - 63 * np.pi / 180)
    )
    s_light = 1 + 0.015 * light_offset / np.sqrt(20 + light_offset)
    s_chroma, s_hue = 1 + 0.045 * mean_chroma, 1 + 0.015 * mean_chroma * t
    mean7 = seventh(mean_chroma)
    hue_peak = np.exp(-(((np.degrees(mean_hue) - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(mean7 / (mean7 + 25.0**7)) * np.sin(np.radians(60 * hue_peak))
    lightness, colour, hue = d_light / s_light, d_chroma / s_chroma, d_hue / s_hue
    return np.asarray(np.sqrt(np.maximum(lightness**2 + colour**2 + hue**2 + rotation * colour * hue, 0)))


def seventh(values: Plane) -> Plane:
    """The seventh power by multiplication, which is faster than a general power."""
    cube = values * values * values
    return cube * cube * values
