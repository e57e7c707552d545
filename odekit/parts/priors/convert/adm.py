"""Converts ADM networks (guided-diffusion and improved-diffusion state dicts) to diffusers.

Architecture: Dhariwal and Nichol, arXiv:2105.05233, appendix; timesteps as [cos, sin] with divisor half, group norms of
32 groups and epsilon 1e-5, optionally residual blocks that resample, multi-head attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from odekit.errors import WeightsError
from odekit.parts.priors.convert.renaming import ConvertedNetwork, TensorRenaming, time_embedding_setting, unet_config

if TYPE_CHECKING:
    from torch import Tensor

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection?": "conv_shortcut",
}


def convert_adm(
    tensors: Mapping[str, Tensor],
    *,
    image_size: int,
    num_heads: int | None = None,
    num_head_channels: int | None = None,
    qkv_order: Literal["legacy", "new"] = "legacy",
) -> ConvertedNetwork:
    """Convert an ADM state dict to a `UNet2DModel`.

    Widths, depth, attention levels, learned sigma, scale-shift and the kind of resampling are read from the tensors.

    Args:
        tensors: the bare state dict.
        image_size: side of the images in pixels.
        num_heads: number of heads of every attention.
        num_head_channels: channels of every head; takes precedence over `num_heads`, and one of the two is required.
        qkv_order: `legacy` (head by head: q, k, v) or `new` (all q, all k, all v).

    Raises:
        WeightsError: an argument is missing, or the network has parts that UNet2DModel does not support.
    """
    if "label_emb.weight" in tensors:
        raise WeightsError("this ADM network is conditioned on classes (label_emb); a prior must be unconditional")
    if num_heads is None and num_head_channels is None:
        raise WeightsError("attention heads cannot be read from ADM weights; give num_heads or num_head_channels")
    layout = _layout(tensors)
    renaming = TensorRenaming(dict(tensors))
    heads = _Heads(num_heads, num_head_channels, qkv_order)
    base = renaming.shape("input_blocks.0.0.weight")[0]
    inputs, outputs = renaming.shape("input_blocks.0.0.weight")[1], renaming.shape("out.2.weight")[0]
    emb = renaming.shape("middle_block.0.emb_layers.1.weight")[0]
    channels = renaming.shape("middle_block.0.in_layers.2.weight")[0]
    widths = [renaming.shape(f"{name}.0.in_layers.2.weight")[0] for name in layout.first]
    settings = unet_config(
        widths,
        layout.blocks,
        sample_size=image_size,
        in_channels=inputs,
        out_channels=outputs,
        down_block_types=layout.types("Down", layout.attention_down, layout.down),
        up_block_types=layout.types("Up", layout.attention_up, layout.up),
        downsample_type=layout.down,
        upsample_type=layout.up,
        downsample_padding=1,
        flip_sin_to_cos=True,
        freq_shift=0,
        norm_eps=1e-5,
        attn_norm_num_groups=32,
        resnet_time_scale_shift="scale_shift" if emb == 2 * channels else "default",
        **time_embedding_setting(renaming, "time_embed.0.weight", base),
    )
    _rename(renaming, layout, heads)
    head_dim, head_count = heads.setting()
    return ConvertedNetwork(settings | {"attention_head_dim": head_dim}, renaming.finish(), head_count)


@dataclass(frozen=True)
class _Layout:
    """The levels of a network."""

    blocks: int
    """Residual blocks per level of the input blocks; the output blocks have one more."""
    first: list[str]
    """Name of the first input block of each level, fine to coarse."""
    attention_down: list[bool]
    """Which levels of the input blocks have attention, fine to coarse."""
    attention_up: list[bool]
    """Likewise of the output blocks, coarse to fine."""
    down: Literal["conv", "resnet"]
    up: Literal["conv", "resnet"]

    def types(self, direction: Literal["Down", "Up"], attention: list[bool], kind: str) -> list[str]:
        """The block types of the levels in diffusers."""
        plain = f"Resnet{direction}sampleBlock2D" if kind == "resnet" else f"{direction}Block2D"
        return [f"Attn{direction}Block2D" if has else plain for has in attention]


def _layout(tensors: Mapping[str, Tensor]) -> _Layout:
    """Read the levels from the output blocks: each level but the finest ends in an upsampler."""
    inputs, outputs = _modules(tensors, "input_blocks"), _modules(tensors, "output_blocks")
    ends = [i for i, parts in enumerate(outputs) if parts[-1] in ("up", "resnet") and len(parts) > 1]
    levels, count = len(ends) + 1, len(outputs)
    per_level = (ends[0] + 1) if ends else count
    blocks = per_level - 1
    regular = ends == [per_level * (i + 1) - 1 for i in range(levels - 1)] and count == per_level * levels
    if blocks < 1 or not regular or len(inputs) != levels * per_level:
        raise WeightsError(
            f"{len(inputs)} input and {count} output blocks with {len(ends)} upsamplers are not an ADM network that a "
            "diffusers UNet2DModel supports (its levels must be equally deep and resample with learned layers)"
        )
    starts = [1 + level * per_level for level in range(levels)]
    downsamplers = {inputs[start - 1][0] for start in starts[1:]}
    upsamplers = {outputs[end][-1] for end in ends}
    return _Layout(
        blocks=blocks,
        first=[f"input_blocks.{start}" for start in starts],
        attention_down=[_attention(inputs[start : start + blocks]) for start in starts],
        attention_up=[_attention(outputs[level * per_level : (level + 1) * per_level]) for level in range(levels)],
        down=_kind(downsamplers, "down"),
        up=_kind(upsamplers, "up"),
    )


def _modules(tensors: Mapping[str, Tensor], group: str) -> list[list[str]]:
    """The modules of each block of a group, in order: resnet, attention, up, down or conv."""
    kinds = {"in_layers": "resnet", "qkv": "attention", "conv": "up", "op": "down"}
    blocks: dict[int, dict[int, str]] = {}
    for name in tensors:
        parts = name.split(".")
        if parts[0] == group and len(parts) > 3 and parts[1].isdigit() and parts[2].isdigit():
            kind = kinds.get(parts[3]) or ("conv" if parts[3] == "weight" else None)
            if kind:
                blocks.setdefault(int(parts[1]), {})[int(parts[2])] = kind
    if sorted(blocks) != list(range(len(blocks))) or not blocks:
        raise WeightsError(
            f"{group} are not numbered from 0 without a gap: damaged, or levels resample without layers, which a "
            "diffusers UNet2DModel does not support"
        )
    return [[blocks[i][j] for j in sorted(blocks[i])] for i in range(len(blocks))]


def _attention(blocks: list[list[str]]) -> bool:
    """Whether the blocks of a level have attention. Raises WeightsError if only some have."""
    has = {"attention" in parts for parts in blocks}
    if len(has) != 1:
        raise WeightsError("only some blocks of a level have attention; a diffusers UNet2DModel does not support this")
    return has.pop()


def _kind(kinds: set[str], plain: str) -> Literal["conv", "resnet"]:
    """How levels resample: with a convolution (kind `plain`) or a residual block. Raises WeightsError if mixed."""
    if not kinds or kinds == {plain}:
        return "conv"
    if kinds == {"resnet"}:
        return "resnet"
    raise WeightsError(
        f"levels resample in different ways ({', '.join(sorted(kinds))}); a diffusers UNet2DModel does not support this"
    )


class _Heads:
    """Splits queries, keys and values into heads."""

    def __init__(self, count: int | None, channels: int | None, order: str) -> None:
        self.count, self.channels, self.order = (None if channels else count), channels, order
        self.widths: set[int] = set()

    def split(self, tensor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One (3 C, ...) tensor as q, k, v of (C, ...), each ordered by heads."""
        width = tensor.shape[0] // 3
        heads = self.count or max(1, width // (self.channels or width))
        if width % heads or (self.channels and heads * self.channels != width):
            raise WeightsError(
                f"an attention of {width} channels is not divisible into heads of the given number or width"
            )
        self.widths.add(width)
        if self.order == "legacy":
            tensor = tensor.reshape(heads, 3, width // heads, -1).transpose(0, 1).reshape(tensor.shape)
        q, k, v = (part.clone() for part in tensor.chunk(3))
        return q, k, v

    def setting(self) -> tuple[int, int | None]:
        """Channels of a head, and the number of heads where the width of a head differs between levels."""
        if self.channels:
            return self.channels, None
        head_dims = {width // (self.count or 1) for width in self.widths}
        # Any common divisor gives layers of the right width; the number of heads is set when the prior is built.
        return math.gcd(*head_dims), None if len(head_dims) == 1 else self.count


def _rename(renaming: TensorRenaming, layout: _Layout, heads: _Heads) -> None:
    per_level, levels = layout.blocks + 1, len(layout.first)
    renaming.layers("time_embed", "time_embedding", {"0": "linear_1", "2": "linear_2"})
    renaming.layer("input_blocks.0.0", "conv_in")
    for index in range(1, levels * per_level):
        level, block = divmod(index - 1, per_level)
        old, new = f"input_blocks.{index}", f"down_blocks.{level}"
        if block < layout.blocks:
            renaming.layers(f"{old}.0", f"{new}.resnets.{block}", RESNET)
            if layout.attention_down[level]:
                _rename_attention(renaming, f"{old}.1", f"{new}.attentions.{block}", heads)
        elif layout.down == "resnet":
            renaming.layers(f"{old}.0", f"{new}.downsamplers.0", RESNET)
        else:
            renaming.layer(f"{old}.0.op", f"{new}.downsamplers.0.conv")
    renaming.layers("middle_block.0", "mid_block.resnets.0", RESNET)
    _rename_attention(renaming, "middle_block.1", "mid_block.attentions.0", heads)
    renaming.layers("middle_block.2", "mid_block.resnets.1", RESNET)
    for index in range(levels * per_level):
        level, block = divmod(index, per_level)
        old, new = f"output_blocks.{index}", f"up_blocks.{level}"
        renaming.layers(f"{old}.0", f"{new}.resnets.{block}", RESNET)
        upsampler = 1
        if layout.attention_up[level]:
            _rename_attention(renaming, f"{old}.1", f"{new}.attentions.{block}", heads)
            upsampler = 2
        if block == layout.blocks and level < levels - 1:
            if layout.up == "resnet":
                renaming.layers(f"{old}.{upsampler}", f"{new}.upsamplers.0", RESNET)
            else:
                renaming.layer(f"{old}.{upsampler}.conv", f"{new}.upsamplers.0.conv")
    renaming.layer("out.0", "conv_norm_out")
    renaming.layer("out.2", "conv_out")


def _rename_attention(renaming: TensorRenaming, old: str, new: str, heads: _Heads) -> None:
    renaming.layer(f"{old}.norm", f"{new}.group_norm")
    for parameter in ("weight", "bias"):
        qkv = renaming.take(f"{old}.qkv.{parameter}")
        if qkv.ndim > 1:
            qkv = qkv.flatten(1)
        for name, tensor in zip(("to_q", "to_k", "to_v"), heads.split(qkv), strict=True):
            renaming.result[f"{new}.{name}.{parameter}"] = tensor
    renaming.matrix(f"{old}.proj_out", f"{new}.to_out.0")
