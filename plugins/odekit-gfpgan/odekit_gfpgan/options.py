"""Options of the upsampler `gfpgan`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.plugins import Options


class Gfpgan(Options):
    """GFPGAN on aligned faces: 512 x 512 out, whatever comes in."""

    part = "gfpgan"
    weights: str = Field(default="gfpgan-1.4", min_length=1)
    """`gfpgan-1.4`, `gfpgan-1.3`, other registered weights of the same shape, or the path of a file."""
    noise: Literal["seeded", "stored"] = "seeded"
    """What StyleGAN2's noise inputs get: draws from the picture's own stream (the official program draws from a global
    generator, so that no run can be repeated), or the noise that lies in the file, the same for every face."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Faces in a network call; fewer are padded. None: 1 on a CPU, where more gain nothing, else 4."""
