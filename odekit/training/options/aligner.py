"""Options of `odekit train aligner`. Importing this loads no torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from odekit.training.options.base import (
    ComposedRunOptions,
    Count,
    Fraction,
    NonNegative,
    OptimiserOptions,
    TrainingOptions,
)


class PlacementOptions(TrainingOptions):
    """Offsets between the crop that the network sees and the aligned face."""

    shift: float = Field(default=0.2, ge=0, le=0.5)
    """Largest translation along each axis, as a fraction of the side of the aligned crop."""
    angle: float = Field(default=28.0, ge=0, le=180)
    """Largest rotation, in degrees."""
    zoom: float = Field(default=1.35, ge=1, le=4)
    """Largest ratio of sides, in both directions."""
    near: Fraction = 0.35
    """Share of crops with a fifth of these offsets: typical inputs of a second pass."""


class CanvasOptions(TrainingOptions):
    """Composition and degradation of the pictures that faces are placed in."""

    smallest: int = Field(default=28, ge=8)
    """Smallest side of the aligned face at the time of degradation, in pixels."""
    largest: int = Field(default=80, ge=8)
    """Largest side of it."""
    damaged: Fraction = 0.7
    """Share of canvases with corruptions of severity 1 to 5: two kinds in every third one, otherwise one."""
    colourless: Fraction = 0.25
    """Share of grey canvases."""
    mirrored: Fraction = 0.4
    """Share of canvases whose surroundings are the face picture itself, mirrored. All others have another picture as
    background."""


class AlignerOptions(ComposedRunOptions):
    """All options of `odekit train aligner`. Example: `configs/train/aligner.yaml`."""

    side: int = Field(default=128, ge=64)
    """Side at which the aligned faces are read."""
    widths: tuple[int, ...] = Field(default=(16, 32, 64, 96), min_length=2, max_length=6)
    """Channels of the convolutions."""
    dense: int = Field(default=128, ge=4)
    """Width of the last hidden layer."""
    negatives: float = Field(default=0.35, ge=0, lt=1)
    """Share of crops with no face, or with a face far from the template."""
    pool: int = Field(default=4096, ge=16)
    fresh: Count = 6
    hard: int = Field(default=0, ge=0)
    """Hard negatives: canvases in which the network of `init` searches for false positives. Every second negative is
    then one of them. 0 searches none."""
    placing: PlacementOptions = PlacementOptions()
    canvas: CanvasOptions = CanvasOptions()
    score: NonNegative = 0.1
    """Weight of the cross entropy of the score next to the mean distance of the five points (fractions of the side)."""
    optimiser: OptimiserOptions = OptimiserOptions(
        lr=2e-3, weight_decay=0.02, warmup=200, decay="cosine", decay_from=0.1
    )
    samples: int = Field(default=16, ge=0)
    """Crops on a sample sheet, with predicted and true points; 0 draws none."""

    @model_validator(mode="after")
    def _hard_needs_init(self) -> AlignerOptions:
        if self.hard and self.init is None:
            raise ValueError("`hard` needs `init`: a trained network whose false positives are searched for")
        return self
