"""Converts networks of the DDIM programs (ermongroup/ddim, SDEdit, pytorch_diffusion) to diffusers.

Architecture: DDPM (arXiv:2006.11239, appendix B) in PyTorch: timesteps as [sin, cos] with divisor half - 1, group norms
of 32 groups and epsilon 1e-6, one attention head, zero padding on the right and bottom only before a strided
convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.parts.priors.convert.renaming import ConvertedNetwork, TensorRenaming, time_embedding_setting, unet_config

if TYPE_CHECKING:
    from torch import Tensor

RESNET = {
    "norm1": "norm1",
    "conv1": "conv1",
    "temb_proj": "time_emb_proj",
    "norm2": "norm2",
    "conv2": "conv2",
    "nin_shortcut?": "conv_shortcut",
}


def convert_ddim(tensors: Mapping[str, Tensor], *, image_size: int) -> ConvertedNetwork:
    """Convert a DDIM state dict to a `UNet2DModel`; everything but the image size is read from the tensors.

    Raises:
        WeightsError: the network has parts that UNet2DModel does not support, or tensors are missing.
    """
    renaming = TensorRenaming(dict(tensors))
    levels = _count(renaming, "down.{}.block")
    blocks = _count(renaming, "down.0.block.{}")
    if not levels or not blocks:
        raise WeightsError("there are no down.0.block tensors: this is not a network of the DDIM programs")
    widths = [renaming.shape(f"down.{level}.block.0.conv1.weight")[0] for level in range(levels)]
    inputs, outputs = renaming.shape("conv_in.weight")[1], renaming.shape("conv_out.weight")[0]
    down = [_attention(renaming, f"down.{level}", blocks) for level in range(levels)]
    up = [_attention(renaming, f"up.{level}", blocks + 1) for level in reversed(range(levels))]
    settings = unet_config(
        widths,
        blocks,
        sample_size=image_size,
        in_channels=inputs,
        out_channels=outputs,
        down_block_types=["AttnDownBlock2D" if has else "DownBlock2D" for has in down],
        up_block_types=["AttnUpBlock2D" if has else "UpBlock2D" for has in up],
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
        **time_embedding_setting(renaming, "temb.dense.0.weight", renaming.shape("conv_in.weight")[0]),
    )
    _rename(renaming, levels, blocks, down, up)
    return ConvertedNetwork(settings, renaming.finish())


def _count(renaming: TensorRenaming, pattern: str) -> int:
    """Number of modules with the names `pattern`.format(0), `pattern`.format(1), ..."""
    return sum(1 for _ in takewhile(lambda i: renaming.has(pattern.format(i)), count()))


def _attention(renaming: TensorRenaming, level: str, blocks: int) -> bool:
    """Whether the blocks of a level have attention. Raises WeightsError if only some have."""
    has = {renaming.has(f"{level}.attn.{block}") for block in range(blocks)}
    if len(has) != 1:
        raise WeightsError(f"{level} has attention in some blocks only; a diffusers UNet2DModel does not support this")
    return has.pop()


def _rename(renaming: TensorRenaming, levels: int, blocks: int, down: list[bool], up: list[bool]) -> None:
    renaming.layers("temb.dense", "time_embedding", {"0": "linear_1", "1": "linear_2"})
    renaming.layer("conv_in", "conv_in")
    for level in range(levels):
        old, new = f"down.{level}", f"down_blocks.{level}"
        _rename_level(renaming, old, new, blocks, down[level])
        if level < levels - 1:
            renaming.layer(f"{old}.downsample.conv", f"{new}.downsamplers.0.conv")
    renaming.layers("mid.block_1", "mid_block.resnets.0", RESNET)
    _rename_attention(renaming, "mid.attn_1", "mid_block.attentions.0")
    renaming.layers("mid.block_2", "mid_block.resnets.1", RESNET)
    for i in range(levels):
        old, new = f"up.{levels - 1 - i}", f"up_blocks.{i}"
        _rename_level(renaming, old, new, blocks + 1, up[i])
        if i < levels - 1:
            renaming.layer(f"{old}.upsample.conv", f"{new}.upsamplers.0.conv")
    renaming.layer("norm_out", "conv_norm_out")
    renaming.layer("conv_out", "conv_out")


def _rename_level(renaming: TensorRenaming, old: str, new: str, blocks: int, attention: bool) -> None:
    for block in range(blocks):
        renaming.layers(f"{old}.block.{block}", f"{new}.resnets.{block}", RESNET)
        if attention:
            _rename_attention(renaming, f"{old}.attn.{block}", f"{new}.attentions.{block}")


def _rename_attention(renaming: TensorRenaming, old: str, new: str) -> None:
    renaming.layer(f"{old}.norm", f"{new}.group_norm")
    for old_name, new_name in {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}.items():
        renaming.matrix(f"{old}.{old_name}", f"{new}.{new_name}")
