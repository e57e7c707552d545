"""Options of the corruption `bfr` and of the metric `niqe`, and the published ranges. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from odekit.plugins import Options

Pair = tuple[float, float]
Kernel = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"]
PUBLISHED = 4
"""The severity of the published ranges; the default of `odekit degrade`."""


def _ordered(pair: Pair) -> Pair:
    if pair[0] > pair[1]:
        raise ValueError(f"the lower end of a range ({pair[0]:g}) must not exceed the upper end ({pair[1]:g})")
    return pair


def _in(low: float, high: float) -> AfterValidator:
    def check(pair: Pair) -> Pair:
        if pair[0] < low or pair[1] > high:
            raise ValueError(f"a range from {pair[0]:g} to {pair[1]:g} is outside {low:g} to {high:g}")
        return _ordered(pair)

    return AfterValidator(check)


TUPLE_FIELD = Field(strict=False)
"""Accepts the lists of YAML as tuples."""
Sigma = Annotated[Pair, TUPLE_FIELD, _in(0.01, 100)]
Factor = Annotated[Pair, TUPLE_FIELD, _in(0.1, 100)]
Level = Annotated[Pair, TUPLE_FIELD, _in(0, 255)]
Quality = Annotated[Pair, TUPLE_FIELD, _in(1, 100)]
Beta = Annotated[Pair, TUPLE_FIELD, _in(0.1, 20)]


@dataclass(frozen=True)
class Ranges:
    """Ranges of the uniform distributions of the random parameters."""

    blur: Pair
    """Standard deviation of the blur kernel, in pixels."""
    downsample: Pair
    """Downsampling factor; less than 1 enlarges."""
    noise: Pair
    """Standard deviation of the Gaussian noise, in levels of 255."""
    jpeg: Pair
    """JPEG quality, rounded down to an integer."""

    def at(self, severity: int) -> Ranges:
        """The ranges at a severity: the distance of each severe end from the mild end is multiplied by severity / 4.

        The JPEG quality stays at least 1.
        """
        share = severity / PUBLISHED
        low, high = self.jpeg
        blur, downsample, noise = (_scaled_range(pair, share) for pair in (self.blur, self.downsample, self.noise))
        return Ranges(blur, downsample, noise, (max(1.0, high + (low - high) * share), high))


def _scaled_range(pair: Pair, share: float) -> Pair:
    return pair[0], pair[0] + (pair[1] - pair[0]) * share


RECIPES: dict[str, Ranges] = {
    "gfpgan": Ranges((0.1, 10), (0.8, 8), (0, 20), (60, 100)),
    "codeformer": Ranges((0.1, 10), (1, 12), (0, 15), (60, 100)),
    "codeformer-large": Ranges((1, 15), (4, 30), (0, 20), (30, 80)),
}
"""Training settings of GFPGAN v1 and of CodeFormer's third and second stage, for faces of 512 pixels."""


class Bfr(Options):
    """Options of the corruption `bfr`: blur, downsampling, noise, JPEG, and resizing to the original size."""

    part = "bfr"
    severity: int = PUBLISHED
    """1 (mild) to 5 (severe). The distance between the mild and the severe end of each range is the published one times
    severity / 4: 4 is the published recipe, 5 exceeds it by a quarter. The ranges below are not scaled."""
    recipe: Literal["gfpgan", "codeformer", "codeformer-large"] = "gfpgan"
    """Name of a published recipe; see `RECIPES`."""
    blur: Sigma | None = None
    """Standard deviation of the blur kernel in pixels, [from, to]. None: the recipe's."""
    downsample: Factor | None = None
    """Downsampling factor, [from, to]. None: the recipe's."""
    noise: Level | None = None
    """Standard deviation of the noise in levels of 255, [from, to]. None: the recipe's."""
    jpeg: Quality | None = None
    """JPEG quality, [from, to]. None: the recipe's."""
    kernels: tuple[Kernel, ...] = Field(default=("iso", "aniso"), min_length=1, strict=False)
    """Shapes to draw from: Gaussian, generalised Gaussian or plateau; isotropic (iso) or anisotropic (aniso)."""
    odds: tuple[float, ...] | None = Field(default=None, strict=False)
    """Relative probabilities of the kernel shapes. None: equal probabilities (as published)."""
    kernel_side: int = Field(default=41, ge=3, le=201)
    """Side of the kernel in pixels; an odd number."""
    beta: Beta = (0.5, 8.0)
    """Range of the exponent of generalised and plateau kernels; half of the draws are below 1 (basicsr's default)."""
    grey_noise: float = Field(default=0.0, ge=0, le=1)
    """Probability of equal noise in all channels."""
    colour: float = Field(default=0.0, ge=0, le=1)
    """Probability of a colour shift (0.3 in GFPGAN's training; GFPGAN therefore changes colours)."""
    colour_shift: float = Field(default=20.0, ge=0, le=255)
    """Largest shift of a channel, in levels."""
    grey: float = Field(default=0.0, ge=0, le=1)
    """Probability of conversion to greyscale (0.01 in GFPGAN's training)."""

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
            raise ValueError(f"kernel_side must be odd, not {value}; use {value - 1} or {value + 1}")
        return value

    @field_validator("beta")
    @classmethod
    def _includes_one(cls, value: Pair) -> Pair:
        if not value[0] <= 1 <= value[1]:
            raise ValueError("the range of beta must include 1 (the Gaussian)")
        return value

    @model_validator(mode="after")
    def _one_odds_value_per_kernel(self) -> Bfr:
        if self.odds is not None:
            if len(self.odds) != len(self.kernels):
                raise ValueError(f"{len(self.odds)} odds for {len(self.kernels)} kernels; set one value per kernel")
            if min(self.odds) < 0 or sum(self.odds) <= 0:
                raise ValueError("odds must not be negative, and at least one must be positive")
        return self

    def ranges(self) -> Ranges:
        """The ranges in use: the options' where they are set, otherwise the recipe's at this severity."""
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
    """Number of pixels removed at each side."""
    channel: Literal["luma", "grey"] = "luma"
    """Input of NIQE: Y of BT.601's YCbCr (16 to 235, as for the published values), or OpenCV's greyscale."""
