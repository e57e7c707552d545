"""Options of every training run, and of the tasks `prior` and `upsampler`.

`odekit.training.config` reads them from YAML. Importing this loads no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from odekit.core.options import Options
from odekit.images.celeba import USUAL_CROP

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A probability, or a share of the pictures."""
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


class TrainingOptions(Options):
    """Base of the option models of training: frozen, no unknown keys.

    Not strict about types: YAML has no paths and no tuples.
    """

    model_config = ConfigDict(strict=False)


class UNetOptions(TrainingOptions):
    """Shape of the `diffusers.UNet2DModel`. Weights fit one shape only."""

    patch: Count = 2
    """Pixel-unshuffle factor before the network: 2 turns 3 x 64 x 64 into 12 x 32 x 32."""
    channels: tuple[int, ...] = Field(default=(64, 128, 192), min_length=2)
    """Width at each resolution, finest first."""
    attention: tuple[bool, ...] = (False, True, True)
    """Whether each resolution has self-attention. The middle block always has it."""
    layers: Count = 2
    """Residual blocks per resolution (`layers_per_block` of diffusers)."""
    head: Count = 32
    """Channels per attention head."""
    groups: Count = 16
    """Groups of the group normalisation; must divide every width."""
    heads: Count | None = None
    """Attention heads at every width, instead of `head` channels each; must divide every width with attention."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _fits(self) -> UNetOptions:
        if len(self.attention) != len(self.channels):
            raise ValueError(f"attention needs {len(self.channels)} entries, one per width, not {len(self.attention)}")
        for width in self.channels:
            if width % self.groups:
                raise ValueError(f"groups {self.groups} does not divide the width {width}")
        for width, attends in zip(self.channels, (*self.attention[:-1], True), strict=True):
            if attends and self.heads is not None and width % self.heads:
                raise ValueError(f"heads {self.heads} does not divide the width {width}, which has attention")
            if attends and self.heads is None and width % self.head:
                raise ValueError(f"head {self.head} does not divide the width {width}, which has attention")
        return self


class DiffusionOptions(TrainingOptions):
    """Prediction target, noise schedule and loss weighting."""

    prediction: Literal["v", "epsilon"] = "v"
    kind: Literal["linear", "scaled_linear", "cosine"] = "linear"
    start: float = Field(default=1e-4, gt=0, lt=1)
    """First beta (not used by `cosine`)."""
    end: float = Field(default=0.02, gt=0, lt=1)
    """Last beta (not used by `cosine`)."""
    timesteps: int = Field(default=1000, ge=2)
    min_snr: Positive | None = 5.0
    """gamma of min-SNR weighting (arXiv:2303.09556); null weights all timesteps equally."""


class AugmentOptions(TrainingOptions):
    """Augmentation. Every transform but the flip is applied to a share of the pictures, and stops before the run ends.

    Both keep the transforms (shifted, rotated, brighter faces) out of the samples of the prior.
    """

    flip: Fraction = 0.5
    """Probability of a mirrored picture."""
    share: Fraction = 0.5
    """Share of the pictures to which the transforms below are applied."""
    shift: float = Field(default=0.02, ge=0, le=0.5)
    """Largest translation along each axis, as a fraction of the side."""
    zoom: float = Field(default=0.03, ge=0, lt=1)
    """Largest change of size, as a fraction."""
    angle: float = Field(default=3.0, ge=0, le=180)
    """Largest rotation, in degrees."""
    brightness: float = Field(default=0.1, ge=0, lt=1)
    """Largest change of the mean, as a fraction of the mean."""
    contrast: float = Field(default=0.05, ge=0, lt=1)
    """Largest change of the deviations from the mean, as a fraction."""
    until: Fraction = 0.85
    """Fraction of the run after which only flips remain."""


class OptimiserOptions(TrainingOptions):
    """Optimiser, learning rate schedule and weight averaging."""

    kind: Literal["adamw", "muon"] = "adamw"
    """`muon`: orthogonalised momentum for matrices, with update norms like AdamW's; AdamW for the other weights."""
    lr: Positive = 4e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: NonNegative = 0.01
    clip: Positive = 1.0
    """Largest gradient norm."""
    warmup: int = Field(default=300, ge=0)
    """Steps of linear warm-up."""
    decay: Literal["linear", "cosine", "none"] = "linear"
    decay_from: float = Field(default=0.7, ge=0, lt=1)
    """Fraction of the run at which the learning rate begins to decay."""
    final: Fraction = 0.0
    """Learning rate at the end, as a fraction of `lr`."""
    ema: float = Field(default=0.05, gt=0, lt=1)
    """Mean age of the weight average, as a fraction of the steps so far."""


class RunOptions(TrainingOptions):
    """Options of every run: length, batch, precision, and the intervals of validation and checkpoints."""

    side: int = Field(default=64, ge=8)
    """Side of the training pictures, in pixels."""
    batch: Count = 64
    """Pictures per step, over all devices."""
    steps: Count = 20000
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision of network calls; weights and optimiser stay float32. `auto`: a 16-bit type if the hardware supports
    one that is faster than float32."""
    channels_last: bool = True
    compile: bool = False
    """`torch.compile`: two minutes of compilation; measured speed-up 10 % on a CPU with bfloat16."""
    crop: int | Literal["template"] = USUAL_CROP
    """Of CelebA as distributed: side in pixels of the crop from the middle, or the window of the template `ffhq-5`."""
    skip_bad: bool = False
    """Skip unusable pictures, with a message, instead of stopping."""
    init: Path | None = None
    """Folder of weights to start from (warm start). The network must have the same shape."""
    optimiser: OptimiserOptions = OptimiserOptions()
    validate_every: Count = 500
    """Steps between validations (and sample sheets)."""
    save_every: Count = 100
    """Steps between checkpoints."""
    patience: Count | None = None
    """Early stopping: validations without a new best before training stops; null never stops early."""
    snapshots: bool = False
    """Keep the averaged weights of every validation, not only of the best and the last one."""


class ComposedRunOptions(RunOptions):
    """Options of runs that compose their training pictures from faces and photographs, and reuse each several times."""

    backgrounds: Path | None = None
    """Folder of photographs without faces; null uses those that come with scikit-image."""
    pool: Count
    """Composed pictures in use at a time."""
    fresh: Count
    """New pictures per step; each replaces an old one of the pool."""


class PriorOptions(RunOptions):
    """All options of `odekit train prior`. Example: `configs/train/face64.yaml`."""

    network: UNetOptions = UNetOptions()
    diffusion: DiffusionOptions = DiffusionOptions()
    augment: AugmentOptions = AugmentOptions()
    validation_levels: Count = 10
    """Bands of timesteps with a separate validation loss."""
    validation: Count | None = None
    """At most this many validation pictures, spread evenly; null: all."""
    samples: int = Field(default=16, ge=0)
    """Pictures on a sample sheet; 0 draws none."""
    sample_steps: Count = 50
    """DDIM steps per sample."""

    @model_validator(mode="after")
    def _divides(self) -> PriorOptions:
        factor = self.network.patch * 2 ** (len(self.network.channels) - 1)
        if self.side % factor:
            raise ValueError(f"side {self.side} must be a multiple of {factor} (patch and resolutions of the network)")
        return self


class SmallInputOptions(TrainingOptions):
    """Small input pictures of an upsampler in training: similar to restored faces."""

    flip: Fraction = 0.5
    """Probability of a mirrored pair."""
    clean: Fraction = 0.5
    """Share of inputs without degradation: area-reduced only. All others get each of the degradations below."""
    blur: NonNegative = 0.7
    """Largest standard deviation of a Gaussian blur, in pixels of the small picture."""
    noise: float = Field(default=0.03, ge=0, lt=1)
    """Largest standard deviation of white noise, for pixels in [0, 1]."""
    jpeg: int = Field(default=60, ge=1, le=100)
    """Lowest JPEG quality; half of the degraded inputs are compressed."""
    restored: Path | None = None
    """A folder of small faces that a chain restored, with the file names of the large ones: real inputs."""
    share: Fraction = 0.25
    """Share of inputs that are restored faces, among the pictures that have one."""


class UpsamplerOptions(RunOptions):
    """All options of `odekit train upsampler`. Example: `configs/train/face-x4.yaml`."""

    batch: Count = 16
    side: int = Field(default=256, ge=8)
    """Side of the large pictures."""
    scale: int = Field(default=4, ge=2, le=8)
    features: int = Field(default=64, ge=4)
    """Width of the network."""
    convs: Count = 16
    """Convolutions between the first and the last."""
    crop: int = Field(default=32, ge=8)
    """Side of a training crop of the small picture."""
    ssim: NonNegative = 0.2
    """Weight of `1 - SSIM` next to the mean absolute error (arXiv:1511.08861 combines them in the same way)."""
    inputs: SmallInputOptions = SmallInputOptions()
    optimiser: OptimiserOptions = OptimiserOptions(lr=1e-3, weight_decay=0.0, warmup=100, decay_from=0.5)
    validation: Count = 32
    """Number of validation pictures (the first ones)."""
    samples: int = Field(default=4, ge=0)
    """Faces on a sample sheet: input, Lanczos, network, ground truth; 0 draws none."""

    @model_validator(mode="after")
    def _crops(self) -> UpsamplerOptions:
        if self.side % self.scale:
            raise ValueError(f"side {self.side} must be a multiple of scale {self.scale}")
        if self.crop > self.side // self.scale:
            raise ValueError(f"crop {self.crop} is larger than the small picture, {self.side // self.scale}")
        return self
