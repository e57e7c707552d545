"""Known damage for experiments: `corrupt(pixels, kind, severity, rng)` and what belongs to it.

Importing this loads numpy; scipy, scikit-image and Pillow are imported by the kinds that need them, when they run.
"""

from __future__ import annotations

from odekit.degrade.kinds import (
    IMAGENET_KINDS,
    KINDS,
    MASK_KINDS,
    OLD_PHOTO_KINDS,
    PAPER_KINDS,
    SEVERITIES,
    TABLES,
    Table,
    check,
    corrupt,
    corrupt_chain,
    options_of,
)
from odekit.degrade.values import Pixels

__all__ = [
    "IMAGENET_KINDS",
    "KINDS",
    "MASK_KINDS",
    "OLD_PHOTO_KINDS",
    "PAPER_KINDS",
    "SEVERITIES",
    "TABLES",
    "Pixels",
    "Table",
    "check",
    "corrupt",
    "corrupt_chain",
    "options_of",
]
