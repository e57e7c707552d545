"""Options of the upsamplers `realesrgan` and `spandrel`. Importing this loads no torch."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from odekit.plugins import Options

LEAST_TILE = 64


class Tiled(Options):
    """How pictures of any size go through a network in bounded memory."""

    tile: int = Field(default=512, ge=0)
    """Longest side in pixels of what the network sees at once; larger pictures are cut. Memory grows with its square.
    0: never cut."""
    overlap: int = Field(default=64, ge=0)
    """Pixels that neighbouring tiles share. Three eighths of it on each side are dropped, because there the network
    did not see far enough; over the quarter in the middle one tile fades into the next."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Tiles of one size in a network call, also of several pictures; fewer are padded. None: 1 on a CPU, else 4."""

    @model_validator(mode="after")
    def _tiles_overlap_less_than_half(self) -> Tiled:
        if 0 < self.tile < LEAST_TILE:
            raise ValueError(f"tile is {self.tile}: write {LEAST_TILE} or more, or 0 for no tiles")
        if self.tile and self.overlap > self.tile // 2:
            raise ValueError(f"overlap is {self.overlap}: at most half of tile ({self.tile // 2})")
        return self


class Realesrgan(Tiled):
    """Real-ESRGAN: general pictures, backgrounds, 2 or 4 times larger."""

    part = "realesrgan"
    scale: float = Field(default=4, gt=0, le=16)
    """Output side over input side. 2 and 4 are networks; any other is resized by Lanczos from the next larger one."""
    weights: str = Field(default="realesrgan-x4plus", min_length=1)
    """Name of registered weights, or the path of a file. Where none is given: `realesrgan-x2plus` for scales up to 2,
    else `realesrgan-x4plus`."""

    @model_validator(mode="before")
    @classmethod
    def _weights_follow_the_scale(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "weights" in data:
            return data
        scale = data.get("scale", 4)
        small = isinstance(scale, int | float) and scale <= 2
        return data | {"weights": "realesrgan-x2plus" if small else "realesrgan-x4plus"}


class Spandrel(Tiled):
    """Any network that spandrel recognises and that takes one picture to one picture."""

    part = "spandrel"
    weights: str = Field(min_length=1)
    """The path of a weights file, or the name of registered weights."""
    scale: float | None = Field(default=None, gt=0, le=16)
    """Output side over input side; the network's own where none is given. Another is reached by Lanczos."""
