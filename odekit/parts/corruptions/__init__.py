"""Synthetic damage for experiments: `corrupt(pixels, kind, severity, rng)`.

Importing this loads only numpy; scipy, scikit-image and Pillow are imported when a kind that needs them is used.
"""

from __future__ import annotations

import functools

from odekit.parts.corruptions.damage import SUMMARIES, BuiltinCorruption, options_model
from odekit.parts.corruptions.kinds import (
    IMAGENET_KINDS,
    KINDS,
    MASK_KINDS,
    OLD_PHOTO_KINDS,
    PAPER_KINDS,
    SEVERITIES,
    TABLES,
    Table,
    check_corruption,
    corrupt,
    corrupt_chain,
    option_names,
)
from odekit.parts.corruptions.photo import Photo
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
    "check_corruption",
    "corrupt",
    "corrupt_chain",
    "option_names",
    "register",
]


def register(catalog: PluginCatalog) -> None:
    """Register every built-in kind as a corruption."""
    for kind in KINDS:
        catalog.part(
            "corruption", kind, functools.partial(BuiltinCorruption, kind), options_model(kind), SUMMARIES[kind]
        )
    catalog.corruption(
        "photo", f"{__name__}.photo:PhotoCorruption", Photo, "blur, reduction, noise and JPEG, as in real photographs"
    )
