"""Aligned faces cut from the sample photographs, at any size."""

from __future__ import annotations

import functools

import numpy as np
from conftest import ROOT

from odekit.core.image import Image
from odekit.images.io import read
from odekit.parts.corruptions.photo import STRENGTHS, damage
from odekit.parts.faces.geometry import TEMPLATES, Frame
from odekit.parts.faces.warp import crop_face

POINTS = {
    "portrait": [[243.0, 218.6], [336.7, 219.3], [286.2, 284.5], [239.0, 307.3], [337.9, 309.4]],
    "astronaut": [[202.0, 102.0], [247.6, 103.7], [225.0, 132.5], [200.7, 139.7], [246.2, 142.2]],
}
"""Eyes, nose and corners of the mouth, in pixels."""


@functools.cache
def sharp_face(side: int = 256, name: str = "portrait") -> Image:
    """An undamaged aligned face of 8 bits."""
    photo = read(ROOT / "examples" / "photos" / f"{name}.jpg")
    frame = Frame.fit(POINTS[name], TEMPLATES["ffhq-5"])
    return Image.from_uint8(Image(crop_face(photo.pixels, frame, side, "reflect")).to_uint8())


def damaged_face(severity: int, side: int = 256, name: str = "portrait", seed: int = 0) -> Image:
    """The face with the damage of photographs."""
    rng = np.random.Generator(np.random.Philox(seed))
    return Image.from_uint8(damage(sharp_face(side, name).to_uint8(), STRENGTHS[severity], rng))
