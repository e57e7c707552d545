"""Options of the upsampler `codeformer`. Importing this loads no torch."""

from __future__ import annotations

from pydantic import Field

from odekit.plugins import Options


class Codeformer(Options):
    """CodeFormer on aligned faces: 512 x 512 out, whatever comes in."""

    part = "codeformer"
    weights: str = Field(default="codeformer", min_length=1)
    """Name of registered weights, or the path of a file."""
    fidelity: float = Field(default=0.5, ge=0, le=1)
    """The paper's w: how much of the damaged face's own features reaches the result. 0 takes the code book alone (best
    looking, least like the person), 1 stays nearest to the input."""
    adain: bool = True
    """Give the code book's features the mean and spread (colour, light) of the damaged face's."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Faces in a network call; fewer are padded. None: 1 on a CPU, where more gain nothing, else 4."""
