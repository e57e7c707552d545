"""Options of the upsampler `diffbir`. Importing this loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from odekit.errors import ConfigError
from odekit.plugins import Options
from odekit_diffbir.schedule import ddim_timesteps, spaced_timesteps

Stage1 = Literal["face", "general", "realesrgan", "codeformer", "bsrnet", "scunet"]
Stage2 = Literal["none", "v1-face", "v1-general", "v2", "v2.1"]
Sampler = Literal["spaced", "ddim", "dpmpp-2m", "dpmpp-3m-sde"]

STAGE1_WEIGHTS = {
    "face": "diffbir-swinir-face",
    "general": "diffbir-swinir-general",
    "realesrgan": "diffbir-swinir-realesrgan",
    "codeformer": "diffbir-swinir-codeformer",
    "bsrnet": "diffbir-bsrnet",
    "scunet": "diffbir-scunet",
}
CONTROL_WEIGHTS = {
    "v1-face": "diffbir-v1-face-full",
    "v1-general": "diffbir-v1-general-full",
    "v2": "diffbir-v2",
    "v2.1": "diffbir-v2.1",
}
BASE_WEIGHTS = {
    "v1-face": "diffbir-v1-face-full",
    "v1-general": "diffbir-v1-general-full",
    "v2": "sd21-base",
    "v2.1": "sd21-zsnr",
}
NEGATIVE = "low quality, blurry, low-resolution, noisy, unsharp, weird textures"
"""The official program's negative prompt."""


class Diffbir(Options):
    """Stage 1 removes degradations; Stable Diffusion, conditioned by its result, generates the detail."""

    part = "diffbir"
    scale: float = Field(default=4.0, gt=0, le=16)
    """Output side over input side. The short side of the working size is at least 512."""
    stage1: Stage1 = "face"
    """Network of stage 1. `face` (aligned faces only), `general` of v1, `realesrgan` of v2.1, `codeformer`: SwinIR;
    `bsrnet` and `scunet` of v2."""
    stage2: Stage2 = "v2.1"
    """Version of the diffusion stage; `none`: stage 1 only."""
    sampler: Sampler = "dpmpp-3m-sde"
    steps: int = Field(default=10, ge=2, le=1000)
    eta: float = Field(default=1.0, ge=0, le=1)
    """Fresh noise of `dpmpp-3m-sde`; 0 is the deterministic method."""
    cfg: float = Field(default=1.0, ge=1, le=20)
    """Guidance scale, from `negative` to `prompt`. 1 needs one network call per step, larger values need two."""
    cfg_rescaled: bool = False
    """Increase the guidance scale from 1 at the start to cfg + 1 at the end."""
    prompt: str = Field(default="", max_length=2000)
    negative: str = Field(default=NEGATIVE, max_length=2000)
    """Negative prompt; used if cfg is greater than 1."""
    strength: float = Field(default=1.0, ge=0, le=2)
    """Scale of the control tensors; larger values follow the stage-1 picture more closely."""
    start: Literal["noise", "image"] = "noise"
    """Start from pure noise, or from the noised stage-1 image (not with v2.1, whose schedule ends at zero SNR)."""
    condition_noise: int = Field(default=0, ge=0, le=999)
    """Timestep of the noise that is added to the condition (the official `noise_aug`); gives stage 2 more freedom."""
    colour: Literal["wavelet", "none"] = "wavelet"
    """Colour correction: coarse colours from the stage-1 picture."""
    tile: int | None = Field(default=512, ge=64, multiple_of=64)
    """Side of the tiles of stage 2 in pixels; they overlap by half. null: no tiles. Smaller pictures are not split."""
    vae_tile: int | None = Field(default=1024, ge=64, multiple_of=64)
    """Side of the tiles of the autoencoder. Its colours depend slightly on the tile, so larger is better."""
    stage1_tile: int | None = Field(default=512, ge=64, multiple_of=64)
    """Side of the tiles of stage 1."""
    batch: int = Field(default=1, ge=1, le=64)
    """Batch size; smaller batches are padded, so that results do not depend on the other pictures of a batch."""
    low_memory: bool = False
    """Keep only one network in memory and reload each before use: slower, with half the memory."""
    max_megapixels: float = Field(default=16.0, gt=0)
    """Limit of the working size in megapixels; larger pictures are an error."""
    stage1_weights: str | None = Field(default=None, min_length=1)
    """Other weights for stage 1: a registered name, or a file (a name with a slash)."""
    control_weights: str | None = Field(default=None, min_length=1)
    """Other weights for the ControlNet."""
    base_weights: str | None = Field(default=None, min_length=1)
    """Other weights for Stable Diffusion 2.1: UNet, autoencoder and text encoder."""
    text_weights: str | None = Field(default=None, min_length=1)
    """Other weights for the text encoder, if `base_weights` has none."""
    size: Literal["sd21", "tiny"] = "sd21"
    """Shape of the stage-2 networks. `tiny` is for tests."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Diffbir:
        rules = {"spaced": spaced_timesteps, "ddim": ddim_timesteps}
        if self.sampler in rules:
            try:
                rules[self.sampler](self.steps)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        if self.start == "image" and self.stage2 == "v2.1":
            raise ValueError("'start: image' has no effect with v2.1, whose schedule starts from pure noise; remove it")
        return self

    def weight_names(self) -> list[str]:
        """All weights that a run needs: registered names, or files."""
        names = [self.stage1_weights or STAGE1_WEIGHTS[self.stage1]]
        if self.stage2 != "none":
            names += [self.control_name(), self.base_name(), self.text_name()]
        return list(dict.fromkeys(names))

    def control_name(self) -> str:
        """Registered name or file of the ControlNet weights."""
        return self.control_weights or CONTROL_WEIGHTS[self.stage2]

    def base_name(self) -> str:
        """Registered name or file of the Stable Diffusion weights."""
        return self.base_weights or BASE_WEIGHTS[self.stage2]

    def text_name(self) -> str:
        """Registered name or file of the text encoder weights."""
        return self.text_weights or self.base_name()

    def calls(self) -> int:
        """Calls of the stage-2 UNet per picture and tile."""
        if self.stage2 == "none":
            return 0
        return self.steps * (2 if self.cfg > 1 else 1)
