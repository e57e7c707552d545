"""Everything a training run can be told, as typed options. Loads no torch; `read.py` fills them from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Base: values cannot change after reading, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Network(Options):
    """Shape of the `diffusers.UNet2DModel`. Changing it makes old weights unusable."""

    patch: int = Field(default=2, ge=1)
    """Pixel-unshuffle factor before the network: 2 turns 3 x 64 x 64 into 12 x 32 x 32."""
    channels: tuple[int, ...] = Field(default=(64, 128, 192), min_length=2)
    """Width of each resolution, finest first."""
    attention: tuple[bool, ...] = (False, True, True)
    """Where self-attention is used, one per resolution. The middle of the network always has it."""
    layers: int = Field(default=2, ge=1)
    head: int = Field(default=32, ge=1)
    """Channels of one attention head."""
    groups: int = Field(default=16, ge=1)
    """Groups of the group normalisation; must divide every width."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)

    @model_validator(mode="after")
    def _fits(self) -> Network:
        if len(self.attention) != len(self.channels):
            raise ValueError(f"attention needs {len(self.channels)} entries, one per width, not {len(self.attention)}")
        for width in self.channels:
            if width % self.groups:
                raise ValueError(f"groups {self.groups} does not divide the width {width}")
        for width, attends in zip(self.channels, (*self.attention[:-1], True), strict=True):
            if attends and width % self.head:
                raise ValueError(f"head {self.head} does not divide the width {width}, which has attention")
        return self


class Diffusion(Options):
    """What the network predicts, on which noise schedule, and how the loss is weighted."""

    prediction: Literal["v", "epsilon"] = "v"
    kind: Literal["linear", "scaled_linear", "cosine"] = "linear"
    start: float = Field(default=1e-4, gt=0, lt=1)
    """First beta (not used by `cosine`)."""
    end: float = Field(default=0.02, gt=0, lt=1)
    """Last beta (not used by `cosine`)."""
    timesteps: int = Field(default=1000, ge=2)
    min_snr: float | None = Field(default=5.0, gt=0)
    """gamma of min-SNR weighting (arXiv:2303.09556); null weights every timestep alike."""


class Augment(Options):
    """Augmentation. All but the flip goes to a share of the pictures only, and none in the last part of the run.

    Applied to a share below 1 and ended before the run does, it does not leak into what the prior draws.
    """

    flip: float = Field(default=0.5, ge=0, le=1)
    """Probability of a mirrored picture."""
    share: float = Field(default=0.5, ge=0, le=1)
    """Share of the pictures that the following changes are applied to."""
    shift: float = Field(default=0.02, ge=0, le=0.5)
    """Largest translation along each axis, as a fraction of the side."""
    zoom: float = Field(default=0.03, ge=0, lt=1)
    """Largest change of size, as a fraction."""
    angle: float = Field(default=3.0, ge=0, le=180)
    """Largest rotation, in degrees."""
    brightness: float = Field(default=0.1, ge=0, lt=1)
    """Largest change of the mean, as a fraction of it."""
    contrast: float = Field(default=0.05, ge=0, lt=1)
    """Largest change of the deviations from the mean, as a fraction."""
    until: float = Field(default=0.85, ge=0, le=1)
    """Fraction of the run after which only flips remain."""


class Optimiser(Options):
    """How the weights move, the learning rate over the run, and the averaging of the weights."""

    kind: Literal["adamw", "muon"] = "adamw"
    """`muon`: matrices by orthogonalised momentum, in steps as long as AdamW's, and the rest by AdamW."""
    lr: float = Field(default=4e-4, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm."""
    warmup: int = Field(default=300, ge=0)
    """Steps of linear warm-up."""
    decay: Literal["linear", "cosine", "none"] = "linear"
    decay_from: float = Field(default=0.7, ge=0, lt=1)
    """Fraction of the run at which the learning rate begins to fall."""
    final: float = Field(default=0.0, ge=0, le=1)
    """Learning rate at the end, as a fraction of `lr`."""
    ema: float = Field(default=0.05, gt=0, lt=1)
    """Width of the weight average as a fraction of the steps so far."""


class Run(Options):
    """What every kind of run has: length, batch, precision, and how often it looks and saves."""

    side: int = Field(default=64, ge=8)
    """Of the pictures that are learnt from."""
    batch: int = Field(default=64, ge=1)
    """Pictures per step, over all devices together."""
    steps: int = Field(default=20000, ge=1)
    seed: int = Field(default=0, ge=0)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the network calls; weights and optimiser stay float32. `auto`: bfloat16 where the hardware has it."""
    channels_last: bool = True
    compile: bool = False
    """`torch.compile`: two minutes of compilation; measured gain 10 % on a CPU with bfloat16."""
    skip_bad: bool = False
    """Leave out pictures that cannot be used (and say so) instead of stopping."""
    init: Path | None = None
    """Folder of weights to start from (a warm start): the network must be of the same shape."""
    optimiser: Optimiser = Optimiser()
    validate_every: int = Field(default=500, ge=1)
    """Steps between validations (and sample sheets)."""
    save_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    patience: int | None = Field(default=None, ge=1)
    """Validations without a new best after which training stops; null never stops early."""
    snapshots: bool = False
    """Keep the averaged weights of every validation, not only the best and the last ones."""


class PriorOptions(Run):
    """A whole run of `odekit train prior`: `configs/train/face64.yaml` is one of these."""

    network: Network = Network()
    diffusion: Diffusion = Diffusion()
    augment: Augment = Augment()
    validation_levels: int = Field(default=10, ge=1)
    """Bands of timesteps with a validation loss of their own."""
    samples: int = Field(default=16, ge=0)
    """Pictures on a sample sheet; 0 draws none."""
    sample_steps: int = Field(default=50, ge=1)
    """DDIM steps of a sample."""

    @model_validator(mode="after")
    def _divides(self) -> PriorOptions:
        factor = self.network.patch * 2 ** (len(self.network.channels) - 1)
        if self.side % factor:
            raise ValueError(f"side {self.side} must be a multiple of {factor} (patch and resolutions of the network)")
        return self


class Inputs(Options):
    """What the small pictures look like that an upsampler learns from: like restored faces."""

    flip: float = Field(default=0.5, ge=0, le=1)
    clean: float = Field(default=0.5, ge=0, le=1)
    """Share of inputs that are the area-reduced picture as it is. The others get each of the following."""
    blur: float = Field(default=0.7, ge=0)
    """Largest standard deviation of a Gaussian blur, in pixels of the small picture."""
    noise: float = Field(default=0.03, ge=0, lt=1)
    """Largest standard deviation of white noise, pixels in [0, 1]."""
    jpeg: int = Field(default=60, ge=1, le=100)
    """Lowest JPEG quality; half of the unclean inputs are compressed."""
    restored: Path | None = None
    """A folder of small faces that a chain restored, named as the large ones: what an upsampler is really given."""
    share: float = Field(default=0.25, ge=0, le=1)
    """Share of inputs that are restored faces, of those that have one."""


class UpsamplerOptions(Run):
    """A whole run of `odekit train upsampler`: `configs/train/face-x4.yaml` is one of these."""

    batch: int = Field(default=16, ge=1)
    side: int = Field(default=256, ge=8)
    """Side of the large pictures."""
    scale: int = Field(default=4, ge=2, le=8)
    features: int = Field(default=64, ge=4)
    """Width of the network."""
    convs: int = Field(default=16, ge=1)
    """Convolutions between the first and the last."""
    crop: int = Field(default=32, ge=8)
    """Side of a training crop of the small picture."""
    ssim: float = Field(default=0.2, ge=0)
    """Weight of `1 - SSIM` beside the mean absolute error (arXiv:1511.08861 mixes the two likewise)."""
    inputs: Inputs = Inputs()
    optimiser: Optimiser = Optimiser(lr=1e-3, weight_decay=0.0, warmup=100, decay_from=0.5)
    validation: int = Field(default=32, ge=1)
    """Validation pictures (the first so many)."""
    samples: int = Field(default=4, ge=0)
    """Faces on a sample sheet: input, Lanczos, network, truth; 0 draws none."""

    @model_validator(mode="after")
    def _crops(self) -> UpsamplerOptions:
        if self.side % self.scale:
            raise ValueError(f"side {self.side} must be a multiple of scale {self.scale}")
        if self.crop > self.side // self.scale:
            raise ValueError(f"crop {self.crop} is larger than the small picture, {self.side // self.scale}")
        return self
