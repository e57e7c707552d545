"""Options of the corruption `bfr` and of the metric `niqe`, and the published ranges. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from odekit.plugins import Options

Pair = tuple[float, float]
Kernel = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
PUBLISHED = 4
"""The severity at which the ranges are the published ones: what `odekit degrade` takes where none is said."""


def _ordered(pair: Pair) -> Pair:
    if pair[0] > pair[1]:
        raise ValueError(f"a range goes from the smaller to the larger number, not from {pair[0]:g} to {pair[1]:g}")
    return pair


def _in(low: float, high: float) -> AfterValidator:
    def check(pair: Pair) -> Pair:
        if pair[0] < low or pair[1] > high:
            raise ValueError(f"a range from {pair[0]:g} to {pair[1]:g} does not lie within {low:g} to {high:g}")
        return _ordered(pair)

    return AfterValidator(check)


Lists = Field(strict=False)
"""YAML has lists where Python has tuples."""
Sigma = Annotated[Pair, Lists, _in(0.01, 100)]
Factor = Annotated[Pair, Lists, _in(0.1, 100)]
Level = Annotated[Pair, Lists, _in(0, 255)]
Quality = Annotated[Pair, Lists, _in(1, 100)]
Beta = Annotated[Pair, Lists, _in(0.1, 20)]


@dataclass(frozen=True)
class Ranges:
    """What is drawn evenly for each picture, each from its own range."""

    blur: Pair
    """Standard deviation of the blur kernel, in pixels."""
    downsample: Pair
    """By which the sides are divided; under 1 they grow."""
    noise: Pair
    """Standard deviation of the Gaussian noise, in levels of 255."""
    jpeg: Pair
    """Quality of the JPEG compression; cut off to a whole number."""

    def at(self, severity: int) -> Ranges:
        """The same, with the harsh ends at severity/4 of their distance from the mild ends (quality at least 1)."""
        share = severity / PUBLISHED
        low, high = self.jpeg
        blur, downsample, noise = (_grown(pair, share) for pair in (self.blur, self.downsample, self.noise))
        return Ranges(blur, downsample, noise, (max(1.0, high + (low - high) * share), high))


def _grown(pair: Pair, share: float) -> Pair:
    return pair[0], pair[0] + (pair[1] - pair[0]) * share


RECIPES: dict[str, Ranges] = {
    "gfpgan": Ranges((0.1, 10), (0.8, 8), (0, 20), (60, 100)),
    "codeformer": Ranges((0.1, 10), (1, 12), (0, 15), (60, 100)),
    "codeformer-large": Ranges((1, 15), (4, 30), (0, 20), (30, 80)),
}
"""From the training settings of GFPGAN v1 and of CodeFormer's third and second stage, all for faces of 512 pixels."""


class Bfr(Options):
    """Options of the corruption `bfr`: blur, downsampling, noise, JPEG, back to the first size."""

    part = "bfr"
    severity: int = PUBLISHED
    """1 (mild) to 5 (severe). The harsh end of each range lies at severity/4 of its published distance from the mild
    end: 4 is the published recipe, 5 goes a quarter beyond it. Ranges given below are taken as they are."""
    recipe: Literal["gfpgan", "codeformer", "codeformer-large"] = "gfpgan"
    """Whose ranges; see `RECIPES`."""
    blur: Sigma | None = None
    """Standard deviation of the blur kernel in pixels, [from, to]. None: the recipe's."""
    downsample: Factor | None = None
    """By which the sides are divided, [from, to]. None: the recipe's."""
    noise: Level | None = None
    """Standard deviation of the noise in levels of 255, [from, to]. None: the recipe's."""
    jpeg: Quality | None = None
    """JPEG quality, [from, to]. None: the recipe's."""
    kernels: tuple[Kernel, ...] = Field(default=("iso", "aniso"), min_length=1, strict=False)
    """One of these shapes is drawn: Gaussian, generalised Gaussian or plateau, round (iso) or long (aniso)."""
    odds: tuple[float, ...] | None = Field(default=None, strict=False)
    """How often each shape, in any unit. None: all equally often (as published)."""
    kernel_side: int = Field(default=41, ge=3, le=201)
    """Pixels of the kernel's side, odd."""
    beta: Beta = (0.5, 8.0)
    """Exponent of generalised and plateau kernels: half of the draws lie below 1, half above (basicsr's default)."""
    grey_noise: float = Field(default=0.0, ge=0, le=1)
    """How often the noise is the same in all channels."""
    colour: float = Field(default=0.0, ge=0, le=1)
    """How often the colours are shifted (0.3 in GFPGAN's training, which teaches it to change colours)."""
    colour_shift: float = Field(default=20.0, ge=0, le=255)
    """Largest shift of a channel, in levels."""
    grey: float = Field(default=0.0, ge=0, le=1)
    """How often the picture loses its colour (0.01 in GFPGAN's training)."""

    @field_validator("severity")
    @classmethod
    def _severity(cls, value: int) -> int:
        if not 1 <= value <= 5:
            raise ValueError("a severity is a whole number from 1 (mild) to 5 (severe)")
        return value

    @field_validator("kernel_side")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"the side of a kernel is odd, so that it has a middle; {value - 1} or {value + 1}?")
        return value

    @field_validator("beta")
    @classmethod
    def _about_one(cls, value: Pair) -> Pair:
        if not value[0] <= 1 <= value[1]:
            raise ValueError("1 (the Gaussian) lies within the range of beta")
        return value

    @model_validator(mode="after")
    def _matched(self) -> Bfr:
        if self.odds is not None:
            if len(self.odds) != len(self.kernels):
                raise ValueError(f"{len(self.odds)} odds for {len(self.kernels)} kernels; give one for each")
            if min(self.odds) < 0 or sum(self.odds) <= 0:
                raise ValueError("odds are not negative, and one at least is above 0")
        return self

    def ranges(self) -> Ranges:
        """The ranges that are drawn from: those given, else the recipe's at this severity."""
        scaled = RECIPES[self.recipe].at(self.severity)
        return Ranges(
            self.blur or scaled.blur,
            self.downsample or scaled.downsample,
            self.noise or scaled.noise,
            self.jpeg or scaled.jpeg,
        )


class Niqe(Options):
    """Options of the metric `niqe`."""

    part = "niqe"
    crop: int = Field(default=0, ge=0)
    """Pixels left out at each side."""
    channel: Literal["luma", "grey"] = "luma"
    """What is measured: Y of BT.601's YCbCr (16 to 235, as the published numbers), or OpenCV's grey."""
