"""Options of the upsampler `codeformer`. Importing this loads no torch."""

from __future__ import annotations

from pydantic import Field

from odekit.plugins import Options


class Codeformer(Options):
    """CodeFormer on aligned faces; output 512 x 512 for any input size."""

    part = "codeformer"
    weights: str = Field(default="codeformer", min_length=1)
    """Name of registered weights, or the path of a file."""
    fidelity: float = Field(default=0.5, ge=0, le=1)
    """The paper's w: the weight of the input's features in the decoder. 0 uses only the code book (best quality, lowest
    fidelity), 1 is closest to the input."""
    adain: bool = True
    """Match mean and standard deviation (colour, brightness) of the code book's features to those of the input face."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Batch size; smaller batches are padded. None: 1 on a CPU, where larger batches are not faster; otherwise 4."""
