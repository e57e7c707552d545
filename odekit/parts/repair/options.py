"""Options of the stage `mend`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field as Limits
from pydantic import field_validator

from odekit.core.options import Options

Sign = Literal["auto"] | bool
"""`auto`: where it is measured; true: in any case; false: never."""


class Mend(Options):
    """The stage `mend`: JPEG blocks, scratches and blur are looked for in a photograph, and mended where found."""

    part = "mend"
    blocks: Sign = "auto"
    """Take JPEG blocks off: `auto` from `least_blocks` up."""
    least_blocks: float = Limits(default=2.6, ge=0)
    """How blocky a photograph must be (see `odekit.parts.repair.damage_signs.blocks`): 1 shows no trace of blocks."""
    scratches: Sign = "auto"
    """Fill scratches: `auto` where enough of them are found, true where any is found."""
    least_scratches: float = Limits(default=0.6, ge=0)
    """Length of all scratches together, over the photograph's shorter side."""
    sure: float = Limits(default=0.7, gt=0, lt=1)
    """How sure the network must be of scratches, on average along them, to find them. Once there are some, slightly
    fainter ones count too. Somewhere along it each must reach half of what is left to certainty (0.85)."""
    blur: Sign = "auto"
    """Sharpen what is blurred all over: `auto` from `least_blur` up, and where no blocks were found, which would be
    sharpened too; true from any blur up that can be measured."""
    least_blur: float = Limits(default=1.2, gt=0)
    """Standard deviation of the blur in pixels (of a lens out of focus half the radius of its disc)."""
    weights: str = Limits(default="mend", min_length=1)
    """The network that sees scratches: registered weights; or, with a slash in it, a folder that `odekit train mender`
    wrote."""
    amount: float = Limits(default=1.0, gt=0, le=1)
    """How much of each change is made: less leaves some of the blocks, scratches and blur."""

    def weight_names(self) -> list[str]:
        """None are needed where scratches stay."""
        return [] if self.scratches is False else [self.weights]


class Denoise(Options):
    """The stage `denoise`: noise is measured and taken off the photograph."""

    part = "denoise"
    noise: Literal["auto"] | float = "auto"
    """Standard deviation of the noise, for pixels in [0, 1]; `auto` measures it in each photograph."""
    least: float = Limits(default=0.02, ge=0, le=1)
    """Photographs with less noise pass as they are, bit for bit. 0.02 is five of 255 levels."""
    amount: float = Limits(default=1.0, gt=0, le=4)
    """How strongly, as a multiple of the noise: less leaves grain, more smooths texture too."""

    @field_validator("noise")
    @classmethod
    def _known(cls, value: float | str) -> float | str:
        if isinstance(value, float) and not 0 < value <= 1:
            raise ValueError("'auto', or a number above 0 and up to 1")
        return value
