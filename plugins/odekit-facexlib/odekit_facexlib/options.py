"""Options of the detector `retinaface` and of the mask `parsenet`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.plugins import Options, Package

FACEXLIB = Package("facexlib", "pip install --no-deps facexlib==0.3.0")

CLASSES = (
    "background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow", "left_ear",
    "right_ear", "mouth", "upper_lip", "lower_lip", "hair", "hat", "earring", "necklace", "neck", "cloth",
)  # fmt: skip
"""Classes of ParseNet in the order of its channels (CelebAMask-HQ)."""

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
    """Minimum probability of a face. 0.8 is the default of facexlib's class; its restoration helper uses 0.97."""
    overlap: float = Field(default=0.4, gt=0, le=1)
    """Non-maximum suppression: of two boxes with a larger intersection over union, the less probable is removed (0.4 as
    in facexlib)."""
    megapixels: float = Field(default=2.0, gt=0, le=100)
    """Larger photographs are reduced to this area before detection. Time and memory grow with it (per megapixel about
    0.3 GB, and 5 s on one core). Faces under about 10 px in the reduced picture are not detected."""

    def packages(self) -> list[Package]:
        """facexlib, which is installed without its dependencies."""
        return [FACEXLIB]


class ParsenetMask(Options):
    """Options of the mask `parsenet`. Lengths are pixels of a 512-pixel face."""

    part = "parsenet"
    weights: str = Field(default="parsenet", min_length=1)
    """Name of registered weights."""
    drop: tuple[Class, ...] = Field(default=("hat", "necklace", "neck", "cloth"), strict=False)
    """Classes excluded from the mask, as is the background. The default is that of facexlib."""
    feather: float = Field(default=11.0, gt=0, le=64)
    """Standard deviation of the Gaussian blur, applied twice to the mask; 11 as in facexlib."""
    border: int = Field(default=10, ge=0, le=128)
    """Width of the zero border of the mask, which hides the edge of the crop."""

    def packages(self) -> list[Package]:
        """facexlib, which is installed without its dependencies."""
        return [FACEXLIB]
