"""Known damage for experiments: `corrupt(pixels, kind, severity, rng)` and what belongs to it.

Importing this loads numpy; scipy, scikit-image and Pillow are imported by the kinds that need them, when they run.
"""

from __future__ import annotations

import functools

from odekit.parts.corruptions.damage import SUMMARIES, Damage, options_model
from odekit.parts.corruptions.kinds import (
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
from odekit.parts.corruptions.primitives import Pixels
from odekit.plugins.catalog import PluginCatalog

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
    "register",
]


def register(catalog: PluginCatalog) -> None:
    """Every built-in kind as a corruption."""
    for kind in KINDS:
        catalog.part("corruption", kind, functools.partial(Damage, kind), options_model(kind), SUMMARIES[kind])
