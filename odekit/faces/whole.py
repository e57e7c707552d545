"""Is a square picture an aligned face, or a whole photograph that happens to be square?

`restore` makes every picture as small as its prior is: a group of people would come back as a smear of 64 pixels.
A face that fills the frame is seen by the aligner at one look, which costs milliseconds; only where it is not, because
the picture is a photograph or the damage heavy, are faces searched for elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from odekit.errors import PluginError
from odekit.faces.aligner import Aligner, steady
from odekit.faces.detector import Builtin
from odekit.faces.geometry import TEMPLATES, Frame
from odekit.faces.network import SIDE
from odekit.faces.options import BuiltinDetector
from odekit.image import Image
from odekit.upsamplers.resize import area_resized

LEAST = 160
"""Smaller pictures hold no face that could be cut out of them: they are taken as they are."""
SEEN = 480
"""Side at which faces are searched for, in pixels."""
PLAIN = 0.4
"""Score of the whole picture, and of its points lying where they should, from which it is an aligned face."""
LARGE = 0.66
"""Side of a face's aligned crop over the picture's from which the picture may pass as that crop."""


def strangers(images: Sequence[Image]) -> list[str]:
    """For each picture why it is no aligned face, or '' where it is one, or where nobody can tell.

    Nobody can where the picture is smaller than 160 pixels, where no face is found at all (a face under much damage),
    or where OpenCV is not installed.
    """
    large = [i for i, image in enumerate(images) if min(image.height, image.width) >= LEAST]
    said = [""] * len(images)
    if not large:
        return said
    crops = np.stack([area_resized(images[i], SIDE, SIDE).pixels for i in large])
    for i, (inner, score) in zip(large, aligner().look(crops), strict=True):
        said[i] = "" if score * steady(inner) >= PLAIN else searched(images[i])
    return said


def searched(image: Image) -> str:
    """The faces of a picture that does not look like one: what they are, or '' where one fills it or none is found."""
    side = min(SEEN, image.height, image.width)
    small = area_resized(image, side, side)
    try:
        faces = detector().detect(small)
    except PluginError:
        return ""
    sides = [Frame.fit(face.points, TEMPLATES["ffhq-5"]).side / side for face in faces if face.points]
    if not sides or max(sides) > LARGE:
        return ""
    found = "a face was found in it" if len(sides) == 1 else f"{len(sides)} faces were found in it"
    return f"{found}, {max(sides):.0%} as wide as an aligned one"


@functools.cache
def aligner() -> Aligner:
    """Loaded once."""
    return Aligner()


@functools.cache
def detector() -> Builtin:
    """Loaded once."""
    return Builtin(BuiltinDetector(turned=False))
