"""Options of the upsamplers `realesrgan` and `spandrel`. Importing this loads no torch."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from odekit.plugins import Options

MIN_TILE = 64


class Tiled(Options):
    """Options of tiled processing, which limits memory for pictures of any size."""

    tile: int = Field(default=512, ge=0)
    """Largest side of a tile in pixels; larger pictures are split into tiles. Memory grows with its square. 0 disables
    tiling."""
    overlap: int = Field(default=64, ge=0)
    """Overlap of neighbouring tiles in pixels. The outer three eighths on each side are discarded, because there the
    receptive field ends at the tile's edge. In the middle quarter the tiles are blended."""
    batch: int | None = Field(default=None, ge=1, le=64)
    """Number of tiles per network call, also from several pictures; smaller batches are padded. None: 1 on a CPU, else
    4."""

    @model_validator(mode="after")
    def _tiles_overlap_less_than_half(self) -> Tiled:
        if 0 < self.tile < MIN_TILE:
            raise ValueError(f"tile is {self.tile}: must be {MIN_TILE} or more, or 0 for no tiles")
        if self.tile and self.overlap > self.tile // 2:
            raise ValueError(f"overlap is {self.overlap}: must be at most half of tile ({self.tile // 2})")
        return self


class Realesrgan(Tiled):
    """Real-ESRGAN: general pictures, backgrounds, 2 or 4 times larger."""

    part = "realesrgan"
    scale: float = Field(default=4, gt=0, le=16)
    """Output side over input side. Networks exist for 2 and 4. For other values the result of the next larger one is
    resized by Lanczos."""
    weights: str = Field(default="realesrgan-x4plus", min_length=1)
    """Name of registered weights, or the path of a file. Default: `realesrgan-x2plus` for scales up to 2, otherwise
    `realesrgan-x4plus`."""

    @model_validator(mode="before")
    @classmethod
    def _weights_follow_the_scale(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "weights" in data:
            return data
        scale = data.get("scale", 4)
        small = isinstance(scale, int | float) and scale <= 2
        return data | {"weights": "realesrgan-x2plus" if small else "realesrgan-x4plus"}


class Spandrel(Tiled):
    """Any network that spandrel recognises, with one input picture and one output picture."""

    part = "spandrel"
    weights: str = Field(min_length=1)
    """The path of a weights file, or the name of registered weights."""
    scale: float | None = Field(default=None, gt=0, le=16)
    """Output side over input side; None: that of the network. Other values are reached by Lanczos."""
