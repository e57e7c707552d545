"""Converts checkpoints of other programs to diffusers folders: `odekit weights convert`. Loads no torch on import."""

from __future__ import annotations

from odekit.parts.priors.convert.options import ConvertOptions
from odekit.parts.priors.convert.run import convert_checkpoint, detect_kind

__all__ = ["ConvertOptions", "convert_checkpoint", "detect_kind"]
