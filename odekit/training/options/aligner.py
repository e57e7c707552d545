"""Everything that `odekit train aligner` can be told. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from odekit.training.options.base import Optimiser, Options, Run


class Placing(Options):
    """How far the crop that the network sees is from the aligned face."""

    shift: float = Field(default=0.2, ge=0, le=0.5)
    """Largest offset along each axis, as a fraction of the aligned crop's side."""
    angle: float = Field(default=28.0, ge=0, le=180)
    """Largest turn, in degrees."""
    zoom: float = Field(default=1.35, ge=1, le=4)
    """Largest ratio of sides, either way."""
    near: float = Field(default=0.35, ge=0, le=1)
    """Share of crops with a fifth of these errors: what a second round sees."""


class Canvas(Options):
    """The pictures that faces are put into, and what happens to them there."""

    smallest: int = Field(default=28, ge=8)
    """Smallest side of the aligned face when it is damaged, in pixels."""
    largest: int = Field(default=80, ge=8)
    damaged: float = Field(default=0.7, ge=0, le=1)
    """Share that is damaged: by one kind, every third one by two, of severity 1 to 5."""
    colourless: float = Field(default=0.25, ge=0, le=1)
    """Share that is made grey."""
    mirrored: float = Field(default=0.4, ge=0, le=1)
    """Share whose surroundings are the face picture's own, mirrored; the others stand before another picture."""


class AlignerOptions(Run):
    """A whole run of `odekit train aligner`: `configs/train/aligner.yaml` is one of these."""

    side: int = Field(default=128, ge=64)
    """Side of the aligned faces, as they are read."""
    widths: tuple[int, ...] = Field(default=(16, 32, 64, 96), min_length=2, max_length=6)
    dense: int = Field(default=128, ge=4)
    """Width of the layer before the numbers."""
    negatives: float = Field(default=0.35, ge=0, lt=1)
    """Share of crops that hold no face, or one far out of place."""
    backgrounds: Path | None = None
    """Folder of photographs without faces; null takes those that come with scikit-image."""
    pool: int = Field(default=4096, ge=16)
    """Canvases in use at a time; each serves many crops."""
    fresh: int = Field(default=6, ge=1)
    """New canvases per step, each taking an old one's place."""
    hard: int = Field(default=0, ge=0)
    """Canvases searched, with the network of `init`, for what it wrongly takes for a face; every second negative then
    is one of the finds. 0 searches none."""
    placing: Placing = Placing()
    canvas: Canvas = Canvas()
    score: float = Field(default=0.1, ge=0)
    """Weight of the score's cross entropy beside the mean distance of the five points (fractions of the side)."""
    optimiser: Optimiser = Optimiser(lr=2e-3, weight_decay=0.02, warmup=200, decay="cosine", decay_from=0.1)
    samples: int = Field(default=16, ge=0)
    """Crops on a sample sheet, with found and true points; 0 draws none."""

    @model_validator(mode="after")
    def _sought(self) -> AlignerOptions:
        if self.hard and self.init is None:
            raise ValueError("`hard` needs `init`: a first network whose mistakes are sought")
        return self
