"""Networks of the DDIM programs (ermongroup/ddim, SDEdit, pytorch_diffusion) in diffusers' terms.

Architecture: DDPM (arXiv:2006.11239, appendix B) in PyTorch: timesteps as [sin, cos] with divisor half - 1, group norms
of 32 groups and epsilon 1e-6, one attention head, zeros on the right and bottom only before a strided convolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import TYPE_CHECKING

from odekit.errors import WeightsError
from odekit.parts.priors.convert.renaming import Converted, Renaming, config, time_width

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


def convert_ddim(tensors: Mapping[str, Tensor], *, image_size: int) -> Converted:
    """A DDIM state dict as a `UNet2DModel`; everything but the picture's side is read from the tensors.

    Raises:
        WeightsError: the network has parts that UNet2DModel cannot express, or tensors are missing.
    """
    move = Renaming(dict(tensors))
    levels = _count(move, "down.{}.block")
    blocks = _count(move, "down.0.block.{}")
    if not levels or not blocks:
        raise WeightsError("there are no down.0.block tensors: this is no network of the DDIM programs")
    widths = [move.shape(f"down.{level}.block.0.conv1.weight")[0] for level in range(levels)]
    into, out = move.shape("conv_in.weight")[1], move.shape("conv_out.weight")[0]
    down = [_attention(move, f"down.{level}", blocks) for level in range(levels)]
    up = [_attention(move, f"up.{level}", blocks + 1) for level in reversed(range(levels))]
    settings = config(
        widths,
        blocks,
        sample_size=image_size,
        in_channels=into,
        out_channels=out,
        down_block_types=["AttnDownBlock2D" if has else "DownBlock2D" for has in down],
        up_block_types=["AttnUpBlock2D" if has else "UpBlock2D" for has in up],
        attention_head_dim=None,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
        norm_eps=1e-6,
        **time_width(move, "temb.dense.0.weight", move.shape("conv_in.weight")[0]),
    )
    _rename(move, levels, blocks, down, up)
    return Converted(settings, move.finish())


def _count(move: Renaming, pattern: str) -> int:
    return sum(1 for _ in takewhile(lambda i: move.has(pattern.format(i)), count()))


def _attention(move: Renaming, level: str, blocks: int) -> bool:
    has = {move.has(f"{level}.attn.{block}") for block in range(blocks)}
    if len(has) != 1:
        raise WeightsError(f"{level} has attention in some blocks only; a diffusers UNet2DModel cannot express this")
    return has.pop()


def _rename(move: Renaming, levels: int, blocks: int, down: list[bool], up: list[bool]) -> None:
    move.layers("temb.dense", "time_embedding", {"0": "linear_1", "1": "linear_2"})
    move.layer("conv_in", "conv_in")
    for level in range(levels):
        old, new = f"down.{level}", f"down_blocks.{level}"
        _rename_level(move, old, new, blocks, down[level])
        if level < levels - 1:
            move.layer(f"{old}.downsample.conv", f"{new}.downsamplers.0.conv")
    move.layers("mid.block_1", "mid_block.resnets.0", RESNET)
    _rename_attention(move, "mid.attn_1", "mid_block.attentions.0")
    move.layers("mid.block_2", "mid_block.resnets.1", RESNET)
    for place in range(levels):
        old, new = f"up.{levels - 1 - place}", f"up_blocks.{place}"
        _rename_level(move, old, new, blocks + 1, up[place])
        if place < levels - 1:
            move.layer(f"{old}.upsample.conv", f"{new}.upsamplers.0.conv")
    move.layer("norm_out", "conv_norm_out")
    move.layer("conv_out", "conv_out")


def _rename_level(move: Renaming, old: str, new: str, blocks: int, attention: bool) -> None:
    for block in range(blocks):
        move.layers(f"{old}.block.{block}", f"{new}.resnets.{block}", RESNET)
        if attention:
            _rename_attention(move, f"{old}.attn.{block}", f"{new}.attentions.{block}")


def _rename_attention(move: Renaming, old: str, new: str) -> None:
    move.layer(f"{old}.norm", f"{new}.group_norm")
    for here, there in {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}.items():
        move.matrix(f"{old}.{here}", f"{new}.{there}")
