"""Everything that `odekit train mender` can be told. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from odekit.training.options.base import Optimiser, Options, Run

EIGHT = 8
"""Sides of crops are multiples of this: the network halves them three times."""


class Damage(Options):
    """The scratches that the network learns to see and to undo, and what else the crops look like."""

    clean: float = Field(default=0.2, ge=0, le=1)
    """Share of crops without scratches."""
    marks: int = Field(default=4, ge=1)
    """Most scratches (or groups of specks) in a crop."""
    dark: float = Field(default=0.28, ge=0, le=0.88)
    """Share of marks that are dirt and dark; an eighth have any colour, and the others bare the paper."""
    largest: int = Field(default=800, ge=96)
    """Scratches are as wide as those of `odekit degrade --kind scratches` in photographs whose shorter side is between
    96 and this."""
    compressed: float = Field(default=0.4, ge=0, le=1)
    """Share of crops that went through a JPEG file, before they were scratched or after."""
    jpeg: int = Field(default=25, ge=1, le=95)
    """Lowest quality of these; the highest is 95."""
    grainy: float = Field(default=0.25, ge=0, le=1)
    """Share of crops with noise."""
    noise: float = Field(default=0.06, ge=0, le=1)
    """Its largest standard deviation, for pixels in [0, 1]."""
    soft: float = Field(default=0.3, ge=0, le=1)
    """Share of crops that are softened a little after they were scratched, as by a scanner."""
    blurred: float = Field(default=0.15, ge=0, le=1)
    """Share of crops that are blurred before they are scratched."""
    blur: float = Field(default=1.5, ge=0, le=16)
    """Largest standard deviation of a Gaussian blur in pixels; discs and trails spread alike."""


class MenderOptions(Run):
    """A whole run of `odekit train mender`: `configs/train/mender.yaml` is one of these."""

    side: int = Field(default=256, ge=64)
    """Side of the aligned faces, as they are read."""
    crop: int = Field(default=64, ge=16)
    """Side of a training crop."""
    widths: tuple[int, int, int] = (32, 64, 96)
    """Channels at a half, a quarter and an eighth of the side."""
    pairs: tuple[int, int, int] = (1, 1, 1)
    """Residual pairs of convolutions there, on the way down and again on the way up."""
    batch: int = Field(default=8, ge=1)
    smallest: float = Field(default=0.4, gt=0, le=1)
    """Pictures are shrunk down to this, and every sixth enlarged up to twice: edges of all widths occur."""
    exact: float = Field(default=0.5, ge=0, le=1)
    """Share of crops cut at the picture's own scale, pixel by pixel, so that scratches are not all that was not
    resampled."""
    scenes: float = Field(default=0.25, ge=0, le=1)
    """Share of crops that are cut from photographs without people."""
    backgrounds: Path | None = None
    """Folder of such photographs; null takes those that come with scikit-image."""
    pool: int = Field(default=600, ge=1)
    """Crops in use at a time; each serves several steps, turned and mirrored."""
    fresh: int = Field(default=2, ge=1)
    """New crops per step, each taking an old one's place."""
    drawn: float = Field(default=0.2, ge=0, le=1)
    """Share of crops into which letters, bars and edges are drawn that belong to the picture, and must stay."""
    colourless: float = Field(default=0.2, ge=0, le=1)
    """Share of pictures that are made grey, half of them toned."""
    damage: Damage = Damage()
    scratched: float = Field(default=9.0, ge=0)
    """Weight of scratched pixels beside the others' 1."""
    mask: float = Field(default=0.5, ge=0)
    """Weight of the cross entropy of "scratched here" beside the absolute error of the colours."""
    optimiser: Optimiser = Optimiser(lr=2e-3, weight_decay=0.0, clip=0.5, warmup=100, decay="cosine", decay_from=0.05)
    validation: int = Field(default=16, ge=1)
    """Validation pictures (the first so many), each asked about clean, scratched, and scratched and compressed."""
    samples: int = Field(default=3, ge=0)
    """Pictures on a sample sheet: scratched, mended, mask, truth for every question; 0 draws none."""

    @model_validator(mode="after")
    def _crops(self) -> MenderOptions:
        if self.crop % EIGHT or self.side % EIGHT:
            raise ValueError(f"crop {self.crop} and side {self.side} must be multiples of {EIGHT}")
        if self.crop + EIGHT > self.side:
            raise ValueError(f"crop {self.crop} is too large for pictures of {self.side}")
        return self
