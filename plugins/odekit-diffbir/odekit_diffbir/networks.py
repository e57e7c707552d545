"""The three networks of stage 2, built from diffusers modules."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn

from odekit_diffbir.shapes import Shape

LATENT_SCALE = 0.18215
"""Scale factor of the autoencoder's latents (Stable Diffusion)."""


class NoConditionEmbedding(nn.Module):
    """Replaces the hint encoder of a ControlNet: DiffBIR concatenates the condition with the noisy latent."""

    def forward(self, condition: Tensor) -> Tensor:
        """Zero."""
        return condition.new_zeros(())


def _common(shape: Shape) -> dict[str, Any]:
    """Arguments common to UNet and ControlNet. In diffusers, `attention_head_dim` is the number of heads."""
    levels = len(shape.multipliers)
    return {
        "block_out_channels": shape.channels,
        "layers_per_block": shape.blocks,
        "cross_attention_dim": shape.context,
        "attention_head_dim": tuple(c // shape.head for c in shape.channels),
        "use_linear_projection": True,
        "flip_sin_to_cos": True,
        "freq_shift": 0,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "down_block_types": tuple(
            "CrossAttnDownBlock2D" if i < shape.transformers else "DownBlock2D" for i in range(levels)
        ),
    }


def controlnet(shape: Shape) -> ControlNetModel:
    """The ControlNet; its input has twice the latent's channels: noisy latent, then condition."""
    network = ControlNetModel(in_channels=2 * shape.latent, **_common(shape))
    network.controlnet_cond_embedding = NoConditionEmbedding()
    return network


def unet(shape: Shape) -> UNet2DConditionModel:
    """The UNet of Stable Diffusion 2.1."""
    levels = range(len(shape.multipliers))
    ups = ("CrossAttnUpBlock2D" if i < shape.transformers else "UpBlock2D" for i in reversed(levels))
    return UNet2DConditionModel(
        in_channels=shape.latent, out_channels=shape.latent, up_block_types=tuple(ups), **_common(shape)
    )


def vae(shape: Shape) -> AutoencoderKL:
    """The autoencoder of Stable Diffusion."""
    levels = len(shape.vae_multipliers)
    return AutoencoderKL(
        block_out_channels=tuple(shape.vae_base * m for m in shape.vae_multipliers),
        layers_per_block=shape.blocks,
        latent_channels=shape.latent,
        norm_num_groups=32,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        scaling_factor=LATENT_SCALE,
    )


BUILD = {"controlnet": controlnet, "unet": unet, "vae": vae}


def build(network: str, shape: Shape) -> nn.Module:
    """Build a network by its name on the meta device, without weights."""
    with torch.device("meta"):
        network_module: nn.Module = BUILD[network](shape)
    return network_module.eval().requires_grad_(False)


def controls(
    control: nn.Module, x: Tensor, t: Tensor, context: Tensor, condition: Tensor, strength: float = 1.0
) -> list[Tensor]:
    """The control tensors in the official order: one per skip connection, then the middle; times `strength`.

    x and condition are (N, 4, h, w), t (N,) timesteps, context (N, tokens, width).
    """
    latent_and_condition = torch.cat([x, condition], dim=1)
    skips, middle = control(latent_and_condition, t, context, condition, conditioning_scale=strength, return_dict=False)
    return [*skips, middle]


def denoise(unet: nn.Module, x: Tensor, t: Tensor, context: Tensor, control: list[Tensor] | None) -> Tensor:
    """The UNet's prediction for x: noise or v, of the same shape. `control` is the result of `controls`, or None."""
    residuals: dict[str, Any] = {}
    if control is not None:
        residuals = {
            "down_block_additional_residuals": tuple(control[:-1]),
            "mid_block_additional_residual": control[-1],
        }
    out: Tensor = unet(x, t, context, return_dict=False, **residuals)[0]
    return out
