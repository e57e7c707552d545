"""What a weights file cannot say about itself. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from odekit.parts.priors.metadata import Betas, Prediction

Kind = Literal["adm", "ddim"]


class ConvertOptions(BaseModel):
    """Facts that the converter must be told, because tensors do not show them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_size: int | None = Field(default=None, ge=1)
    """Side of the pictures in pixels. Always needed."""
    num_heads: int | None = Field(default=None, ge=1)
    """ADM only: heads of every attention (its `num_heads`), or give `num_head_channels`."""
    num_head_channels: int | None = Field(default=None, ge=1)
    """ADM only: channels of every head; wins over `num_heads`, as in the ADM programs."""
    qkv_order: Literal["legacy", "new"] = "legacy"
    """ADM only: `new` where the model was trained with `use_new_attention_order`."""
    betas: Betas = Betas()
    """Noise levels it was trained on: linear 1e-4 .. 0.02 in 1,000 steps unless said."""
    prediction: Prediction = "epsilon"
    half: bool = False
    """Store float16."""
