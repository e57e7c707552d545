"""Options of the task `upsampler --guided`. Importing this loads no torch."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from odekit.training.options.base import (
    Count,
    Fraction,
    NonNegative,
    OptimiserOptions,
    Positive,
    RunOptions,
    TrainingOptions,
)


class GuidedDamageOptions(TrainingOptions):
    """How the original face is damaged, and where the restored face comes from."""

    clean: Fraction = 0.1
    """Share of the faces without damage: the network learns to return them."""
    severities: tuple[Positive, ...] = (1.0, 1.0, 1.0, 1.0, 1.0)
    """Relative frequencies of the severities 1 to 5 of the corruption `photo` among the other faces."""
    damaged: Path | None = None
    """A folder of damaged faces with the file names of the large ones (`odekit degrade`)."""
    restored: Path | None = None
    """A folder of these faces restored by a chain at the small side (`odekit run odedit-fast`)."""
    truth: Path | None = None
    """A folder with what should come back of some of them, where that is not the training picture: faces with things in
    front of them."""
    share: Fraction = 0.35
    """Share of the faces taken from `damaged` and `restored`, among those that are in both."""
    ideal: Fraction = 0.25
    """Share of the other damaged faces whose restored face is a mixture of the reduced damaged and the reduced true
    face; the rest are left by the restoration as they are: the reduced damaged face."""
    noisy: Fraction = 0.12
    """Share of the damaged faces with white noise on top, of a standard deviation up to 0.15."""
    grey: Fraction = 0.12
    """Share of faces without colour."""
    toned: Fraction = 0.04
    """Share of faces in one tone (sepia)."""
    jitter: Fraction = 0.5
    """Share of faces with changed brightness, contrast and saturation."""
    hue: Fraction = 0.3
    """Share of faces whose hues are turned by a random angle, so that the network takes colours from the picture (a
    brown iris stays brown) and not from the faces it has seen."""
    spectacles: Fraction = 0.2
    """Share of faces that get drawn spectacles, but for those of the two folders."""
    in_front: Fraction = 0.0
    """Share of faces with a drawn thing in front of them (a hand, a bar, a cup), but for those of the folders. With
    0.2, 6,500 pictures were too few to gain anything: docs/detail.md."""
    blind: Fraction = 0.08
    """Share of faces with `trust` 0: the network does not see the original."""
    partial: Fraction = 0.12
    """Share of faces with a random `trust`."""


class GuidedOptions(RunOptions):
    """All options of `odekit train upsampler --guided`. Example: `configs/train/face-guided.yaml`."""

    batch: Count = 8
    side: int = Field(default=256, ge=64)
    """Side of the faces."""
    scale: int = Field(default=4, ge=2, le=8)
    """Side of the faces over the side of the restored faces."""
    features: int = Field(default=64, ge=4)
    """Width of the network."""
    convs: Count = 16
    """Convolutions between the first and the last."""
    context: int = Field(default=96, ge=0)
    """Width of the convolutions that see the whole face; 0 for none."""
    damage: GuidedDamageOptions = GuidedDamageOptions()
    lpips: NonNegative = 0.8
    """Weight of LPIPS next to the mean absolute error. 0 needs no weights of LPIPS."""
    lpips_weights: str | None = None
    """Weights of LPIPS: see the option `weights` of the metric `lpips`."""
    identity: NonNegative = 0.2
    """Weight of the distance of face descriptors (`face-distance`)."""
    inner: NonNegative = 0.5
    """Weight of the same absolute error and LPIPS in the inner face (eyes, nose, mouth), a quarter of the area."""
    colour: NonNegative = 1.0
    """Weight of `colour_error`: blotches of colour, as blocks of strong compression leave, cost little else."""
    harm: NonNegative = 0.3
    """Weight of `harm`: how much farther from the truth than the original a result is. It teaches restraint with mild
    damage, where a specular dot or a tooth in the wrong place costs little LPIPS."""
    optimiser: OptimiserOptions = OptimiserOptions(lr=1e-3, weight_decay=0.0, warmup=100, decay_from=0.5)
    validation: Count = 24
    """Number of validation faces."""
    samples: int = Field(default=4, ge=0)
    """Faces on a sample sheet: damaged, network, truth, for each kind of validation damage; 0 draws none."""

    @model_validator(mode="after")
    def _check(self) -> GuidedOptions:
        if self.side % self.scale:
            raise ValueError(f"side {self.side} must be a multiple of scale {self.scale}")
        if self.context and self.side // self.scale % 4:
            raise ValueError(f"with a context, side {self.side} must be a multiple of {4 * self.scale}")
        if len(self.damage.severities) != 5:
            raise ValueError("damage.severities needs five numbers, for the severities 1 to 5")
        if (self.damage.damaged is None) != (self.damage.restored is None):
            raise ValueError("damage.damaged and damage.restored belong together")
        if self.damage.truth is not None and self.damage.damaged is None:
            raise ValueError("damage.truth belongs to damage.damaged and damage.restored")
        return self
