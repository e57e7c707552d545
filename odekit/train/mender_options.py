"""Everything that `odekit train mender` can be told. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from odekit.train.options import Optimiser, Options, Run

EIGHT = 8
"""Sides of crops are multiples of this: the network halves them three times."""


class Damage(Options):
    """What is done to the crops that the network learns to undo; several kinds may meet in one crop."""

    clean: float = Field(default=0.15, ge=0, le=1)
    """Share of crops that stay as they are."""
    single: float = Field(default=0.55, ge=0, le=1)
    """Share of the others with one kind of damage only, all four alike often; the rest are mixtures."""
    noise: float = Field(default=0.25, ge=0, le=1)
    """Largest standard deviation of the noise, for pixels in [0, 1]."""
    jpeg: int = Field(default=7, ge=1, le=95)
    """Lowest JPEG quality; the highest is 95."""
    blur: float = Field(default=2.0, ge=0, le=16)
    """Largest standard deviation of a Gaussian blur in pixels; discs and trails spread alike."""
    marks: int = Field(default=4, ge=1)
    """Most scratches (or groups of specks) in a crop."""
    largest: int = Field(default=2400, ge=96)
    """Scratches are as wide as those of `odekit degrade --kind scratches` in photographs whose shorter side is between
    96 and this."""


class MenderOptions(Run):
    """A whole run of `odekit train mender`: `configs/train/mender.yaml` is one of these."""

    side: int = Field(default=256, ge=64)
    """Side of the aligned faces, as they are read."""
    crop: int = Field(default=96, ge=16)
    """Side of a training crop."""
    widths: tuple[int, int, int] = (48, 64, 128)
    """Channels at a half, a quarter and an eighth of the side."""
    pairs: tuple[int, int, int] = (1, 2, 2)
    """Residual pairs of convolutions there, on the way down and again on the way up."""
    batch: int = Field(default=8, ge=1)
    smallest: float = Field(default=0.4, gt=0, le=1)
    """Pictures are shrunk down to this, and every sixth enlarged up to twice: edges of all widths occur."""
    scenes: float = Field(default=0.25, ge=0, le=1)
    """Share of crops that are cut from photographs without people."""
    backgrounds: Path | None = None
    """Folder of such photographs; null takes those that come with scikit-image."""
    drawn: float = Field(default=0.15, ge=0, le=1)
    """Share of crops into which letters, bars and edges are drawn that belong to the picture, and must stay."""
    colourless: float = Field(default=0.2, ge=0, le=1)
    """Share of pictures that are made grey, half of them toned."""
    damage: Damage = Damage()
    scratched: float = Field(default=3.0, ge=0)
    """Weight of scratched pixels beside the others' 1."""
    mask: float = Field(default=0.1, ge=0)
    """Weight of the cross entropy of "scratched here" beside the absolute error of the colours."""
    optimiser: Optimiser = Optimiser(lr=6e-4, weight_decay=0.0, warmup=200, decay="cosine", decay_from=0.05)
    validation: int = Field(default=16, ge=1)
    """Validation pictures (the first so many), each damaged in every way."""
    samples: int = Field(default=3, ge=0)
    """Pictures on a sample sheet: damaged, mended, mask, truth for every kind; 0 draws none."""

    @model_validator(mode="after")
    def _crops(self) -> MenderOptions:
        if self.crop % EIGHT or self.side % EIGHT:
            raise ValueError(f"crop {self.crop} and side {self.side} must be multiples of {EIGHT}")
        if self.crop + EIGHT > self.side:
            raise ValueError(f"crop {self.crop} is too large for pictures of {self.side}")
        return self
