"""Checkpoints of other programs as diffusers folders: `odekit weights convert`. Importing this loads no torch."""

from __future__ import annotations

from odekit.parts.priors.convert.options import ConvertOptions
from odekit.parts.priors.convert.run import convert, detect

__all__ = ["ConvertOptions", "convert", "detect"]
