"""Properties of a checkpoint that its tensors do not contain. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from odekit.parts.priors.metadata import Betas, Prediction

CheckpointKind = Literal["adm", "ddim"]


class ConvertOptions(BaseModel):
    """Properties that the converter cannot read from the tensors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int | None = Field(default=None, ge=1)
    """Side of the images in pixels. Required."""
    num_heads: int | None = Field(default=None, ge=1)
    """ADM only: number of heads of every attention (its `num_heads`); alternatively give `num_head_channels`."""
    num_head_channels: int | None = Field(default=None, ge=1)
    """ADM only: channels of every head; takes precedence over `num_heads`, as in the ADM programs."""
    qkv_order: Literal["legacy", "new"] = "legacy"
    """ADM only: `new` if the model was trained with `use_new_attention_order`."""
    betas: Betas = Betas()
    """Noise schedule of the training; default: linear 1e-4 .. 0.02 in 1,000 steps."""
    prediction: Prediction = "epsilon"
    """What the network predicts."""
    half: bool = False
    """Store weights in float16."""
