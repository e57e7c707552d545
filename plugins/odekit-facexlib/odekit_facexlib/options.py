"""Options of the detector `retinaface` and of the mask `parsenet`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.plugins import Options

CLASSES = (
    "background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear",
    "right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip
"""What ParseNet tells apart, in the order of its channels (CelebAMask-HQ)."""

Class = Literal[
    "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear",
    "right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
]  # fmt: skip


class Retinaface(Options):
    """Options of the detector `retinaface`."""

    part = "retinaface"
    weights: str = Field(default="retinaface-resnet50", min_length=1)
    """Name of registered weights."""
    score: float = Field(default=0.8, ge=0, le=1)
    """Faces of a lower probability are left out. 0.8 is the default of facexlib's class; its restoration helper asks
    for 0.97."""
    overlap: float = Field(default=0.4, gt=0, le=1)
    """Of two boxes whose intersection over union is larger, the less probable is dropped (0.4 is facexlib's)."""
    megapixels: float = Field(default=2.0, gt=0, le=100)
    """Larger photographs are reduced to this area before the search: time and memory grow with it (about 0.3 GB, and
    5 s on one core, per megapixel), and faces under about 10 px of the reduced picture are missed."""


class ParsenetMask(Options):
    """Options of the mask `parsenet`. Lengths are pixels of a 512-pixel face."""

    part = "parsenet"
    weights: str = Field(default="parsenet", min_length=1)
    """Name of registered weights."""
    drop: tuple[Class, ...] = Field(default=("hat", "necklace", "neck", "cloth"), strict=False)
    """What is left as it was in the photograph, beside the background. The default is facexlib's."""
    feather: float = Field(default=11.0, gt=0, le=64)
    """Standard deviation of the Gaussian that softens the mask, twice; 11 is facexlib's."""
    border: int = Field(default=10, ge=0, le=128)
    """So many pixels at the crop's border are 0, so that no edge of the crop shows."""
