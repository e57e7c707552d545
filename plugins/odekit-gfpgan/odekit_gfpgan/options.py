"""Options of the upsampler `gfpgan`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odekit.plugins import Options


class Gfpgan(Options):
    """GFPGAN on aligned faces; output 512 x 512 for any input size."""

    part = "gfpgan"
    weights: str = Field(default="gfpgan-1.4", min_length=1)
    """`gfpgan-1.4`, `gfpgan-1.3`, other registered weights of the same shape, or the path of a file."""
    noise: Literal["seeded", "stored"] = "seeded"
    """Noise inputs of StyleGAN2: `seeded` draws from the random stream of the picture (the official program uses a
    global generator, so its runs are not reproducible); `stored` uses the noise in the weights file, which
    is equal for all faces."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Batch size; smaller batches are padded. None: 1 on a CPU, where larger batches are not faster; otherwise 4."""
