"""Damaged faces for benchmarks."""

from __future__ import annotations

import itertools

import numpy as np

from odekit.core.image import Image
from odekit.evaluation.degrade.recipe import damage
from odekit.evaluation.experiments.faces import Pictures
from odekit.parts.corruptions.kinds import PAPER_KINDS

SEVERITY = 4
"""The severity of the paper's experiments."""


def damage_in_turn(pictures: Pictures, seed: int = 0) -> Pictures:
    """Each image with one of the paper's 20 kinds of damage in turn, at severity 4."""
    pairs = zip(pictures, itertools.cycle(PAPER_KINDS), strict=False)
    return np.stack([damage(Image.from_uint8(p), kind, seed, SEVERITY).to_uint8() for p, kind in pairs])
