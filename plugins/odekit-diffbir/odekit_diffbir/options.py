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
    """A cleaner takes the damage away; Stable Diffusion, led by what is left, draws the detail."""

    part = "diffbir"
    scale: float = Field(default=4.0, gt=0, le=16)
    """Output side over input side. Inside, the short side is at least 512."""
    stage1: Stage1 = "face"
    """The cleaner. `face` (aligned faces only), `general` of v1, `realesrgan` of v2.1, `codeformer`: SwinIR; `bsrnet`
    and `scunet` of v2."""
    stage2: Stage2 = "v2.1"
    """Version of the diffusion stage; `none` gives stage 1 alone."""
    sampler: Sampler = "dpmpp-3m-sde"
    steps: int = Field(default=10, ge=2, le=1000)
    eta: float = Field(default=1.0, ge=0, le=1)
    """Fresh noise of `dpmpp-3m-sde`; 0 is the deterministic method."""
    cfg: float = Field(default=1.0, ge=1, le=20)
    """Guidance: how much more `prompt` counts than `negative`. 1 is one network call per step, more is two."""
    cfg_rescaled: bool = False
    """Let the guidance grow from 1 at the start to cfg + 1 at the end."""
    prompt: str = Field(default="", max_length=2000)
    negative: str = Field(default=NEGATIVE, max_length=2000)
    """What to keep away from; read where cfg is over 1."""
    strength: float = Field(default=1.0, ge=0, le=2)
    """Weight of the control tensors: how strictly stage 1 is followed."""
    start: Literal["noise", "image"] = "noise"
    """Start from pure noise, or from the noised stage-1 image (not with v2.1, whose schedule leaves nothing of it)."""
    condition_noise: int = Field(default=0, ge=0, le=999)
    """Noise is added to the condition up to this timestep (the official `noise_aug`): more freedom for stage 2."""
    colour: Literal["wavelet", "none"] = "wavelet"
    """Take the coarse colours from stage 1."""
    tile: int | None = Field(default=512, ge=64, multiple_of=64)
    """Side of the tiles of stage 2 in pixels, half overlapping; null: none. Only larger pictures are cut."""
    vae_tile: int | None = Field(default=1024, ge=64, multiple_of=64)
    """Likewise of the autoencoder. Its colours depend on the tile a little, so larger is better."""
    stage1_tile: int | None = Field(default=512, ge=64, multiple_of=64)
    """Likewise of stage 1."""
    batch: int = Field(default=1, ge=1, le=64)
    """Pictures in a network call; fewer are padded, so that none depends on its neighbours."""
    low_memory: bool = False
    """Hold one network at a time, and read it again when its turn comes: slower, and half the memory."""
    max_megapixels: float = Field(default=16.0, gt=0)
    """Larger working pictures are refused."""
    stage1_weights: str | None = Field(default=None, min_length=1)
    """Other weights for stage 1: a registered name, or a file (a name with a slash)."""
    control_weights: str | None = Field(default=None, min_length=1)
    """Likewise for the ControlNet."""
    base_weights: str | None = Field(default=None, min_length=1)
    """Likewise for Stable Diffusion 2.1: its UNet, autoencoder and text encoder."""
    text_weights: str | None = Field(default=None, min_length=1)
    """Likewise for the text encoder alone, where `base_weights` has none."""
    size: Literal["sd21", "tiny"] = "sd21"
    """Shape of the stage-2 networks. `tiny` is for checks."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Diffbir:
        rules = {"spaced": spaced_timesteps, "ddim": ddim_timesteps}
        if self.sampler in rules:
            try:
                rules[self.sampler](self.steps)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        if self.start == "image" and self.stage2 == "v2.1":
            raise ValueError(
                "'start: image' has no effect with v2.1, whose schedule starts from pure noise; leave it out"
            )
        return self

    def weight_names(self) -> list[str]:
        """Everything that a run needs: registered names, or files."""
        names = [self.stage1_weights or STAGE1_WEIGHTS[self.stage1]]
        if self.stage2 != "none":
            names += [self.control(), self.base(), self.text()]
        return list(dict.fromkeys(names))

    def control(self) -> str:
        """Where the ControlNet is."""
        return self.control_weights or CONTROL_WEIGHTS[self.stage2]

    def base(self) -> str:
        """Where Stable Diffusion is."""
        return self.base_weights or BASE_WEIGHTS[self.stage2]

    def text(self) -> str:
        """Where the text encoder is."""
        return self.text_weights or self.base()

    def calls(self) -> int:
        """Calls of the stage-2 UNet per picture, tiles counted once."""
        if self.stage2 == "none":
            return 0
        return self.steps * (2 if self.cfg > 1 else 1)
