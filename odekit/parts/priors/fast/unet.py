"""Builds the network of a `UNet2DModel` configuration without the diffusers library, whose import takes seconds.

The architecture is that of DDPM (arXiv:2006.11239, appendix B) with the scale and shift of arXiv:2105.05233, section 3.
Modules have diffusers' names, so that its weights fit. Blocks hold parameters only; their forward functions come from
`odekit.parts.priors.fast.blocks`, as for diffusers' own. Configurations that `supports` rejects are built by diffusers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

DEFAULTS: dict[str, Any] = {
    "in_channels": 3, "out_channels": 3, "freq_shift": 0, "flip_sin_to_cos": True,
    "block_out_channels": (224, 448, 672, 896),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
    "up_block_types": ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"), "layers_per_block": 2,
    "downsample_padding": 1, "attention_head_dim": 8, "norm_num_groups": 32, "norm_eps": 1e-5,
    "resnet_time_scale_shift": "default", "add_attention": True,
}  # fmt: skip
"""Options that `UNet` reads, with the defaults of diffusers."""
SUPPORTED_VALUES: dict[str, tuple[Any, ...]] = {
    "center_input_sample": (False,), "time_embedding_type": ("positional",), "time_embedding_dim": (None,),
    "mid_block_type": ("UNetMidBlock2D",), "mid_block_scale_factor": (1,), "downsample_type": ("conv",),
    "upsample_type": ("conv",), "act_fn": ("silu", "swish"), "attn_norm_num_groups": (None,),
    "class_embed_type": (None,), "num_class_embeds": (None,), "resnet_time_scale_shift": ("default", "scale_shift"),
    "downsample_padding": (0, 1),
}  # fmt: skip
"""Options that must have one of these values, or be absent."""
WITHOUT_EFFECT = {"sample_size", "dropout", "num_train_timesteps"}
BLOCK_TYPES = {"DownBlock2D", "AttnDownBlock2D", "UpBlock2D", "AttnUpBlock2D"}


def supports(config: Mapping[str, Any]) -> bool:
    """Whether `UNet` computes the same as diffusers' network of this configuration."""
    options = {key: value for key, value in config.items() if not key.startswith("_")}
    if not options.keys() <= DEFAULTS.keys() | SUPPORTED_VALUES.keys() | WITHOUT_EFFECT:
        return False
    if any(key in options and options[key] not in values for key, values in SUPPORTED_VALUES.items()):
        return False
    full = DEFAULTS | options
    widths, down, up = full["block_out_channels"], full["down_block_types"], full["up_block_types"]
    integers = all(isinstance(full[key], int) for key in ("layers_per_block", "norm_num_groups", "in_channels"))
    divisible = integers and all(isinstance(w, int) and w % 2 == 0 and w % full["norm_num_groups"] == 0 for w in widths)
    return divisible and {*down, *up} <= BLOCK_TYPES and len(down) == len(up) == len(widths)


class ResnetBlock2D(nn.Module):
    """Parameters of a residual block."""

    upsample = downsample = None
    output_scale_factor = 1.0
    skip_time_act = False

    def __init__(self, inputs: int, outputs: int, full: Mapping[str, Any]) -> None:
        super().__init__()
        groups, eps, time = full["norm_num_groups"], full["norm_eps"], 4 * full["block_out_channels"][0]
        self.time_embedding_norm = full["resnet_time_scale_shift"]
        self.norm1 = nn.GroupNorm(groups, inputs, eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, 2 * outputs if self.time_embedding_norm == "scale_shift" else outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nonlinearity = nn.SiLU()
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None


class Attention(nn.Module):
    """Parameters of self-attention over the pixels."""

    spatial_norm = norm_q = norm_k = added_kv_proj_dim = None
    residual_connection = True
    rescale_output_factor = 1.0

    def __init__(self, width: int, full: Mapping[str, Any], groups: int | None) -> None:
        super().__init__()
        head_dim = full["attention_head_dim"] or width
        self.heads = width // head_dim
        self.inner_dim = self.heads * head_dim
        self.scale = head_dim**-0.5
        self.group_norm = nn.GroupNorm(groups, width, full["norm_eps"]) if groups else None
        self.to_q, self.to_k, self.to_v = (nn.Linear(width, self.inner_dim) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(self.inner_dim, width)])


class Upsample2D(nn.Module):
    """Parameters of an upsampling block: nearest neighbours, then a convolution."""

    norm = None
    use_conv_transpose = False
    interpolate = use_conv = True
    name = "conv"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)


class Downsample2D(nn.Module):
    """A convolution of stride 2; with `padding` 0 the input is padded by a row below and a column to the right."""

    def __init__(self, width: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, H, W) at half the height and width."""
        output: Tensor = self.conv(x if self.conv.padding[0] else functional.pad(x, (0, 1, 0, 1)))
        return output


class Level(nn.Module):
    """One level of the U-Net: residual blocks, attentions between them, and the resampling to the next level."""

    def __init__(self, widths: Sequence[tuple[int, int]], full: Mapping[str, Any], groups: int | None) -> None:
        """Parameters of a level.

        Args:
            widths: input and output channels of each residual block.
            full: the complete configuration.
            groups: of the normalisation in attentions; None for no normalisation, 0 for no attentions.
        """
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock2D(inputs, outputs, full) for inputs, outputs in widths])
        self.attentions = nn.ModuleList()
        if groups != 0:
            self.attentions.extend([Attention(outputs, full, groups) for _, outputs in widths])
        self.downsamplers = self.upsamplers = nn.ModuleList()


class UNet(nn.Module):
    """A U-Net of a supported configuration; callable only after `use_fast_blocks` has set its forward functions."""

    mid_block: Level

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        full = DEFAULTS | dict(config)
        widths, layers, groups = list(full["block_out_channels"]), full["layers_per_block"], full["norm_num_groups"]
        self.flip, self.shift = full["flip_sin_to_cos"], full["freq_shift"]
        first, last, time = widths[0], widths[-1], 4 * widths[0]
        self.conv_in = nn.Conv2d(full["in_channels"], first, 3, padding=1)
        self.time_embedding = nn.ModuleDict({"linear_1": nn.Linear(first, time), "linear_2": nn.Linear(time, time)})

        self.down_blocks = nn.ModuleList()
        for i, (kind, width) in enumerate(zip(full["down_block_types"], widths, strict=True)):
            inputs = [widths[max(i - 1, 0)], *[width] * (layers - 1)]
            level = Level([(channels, width) for channels in inputs], full, groups if kind.startswith("Attn") else 0)
            if i + 1 < len(widths):
                level.downsamplers = nn.ModuleList([Downsample2D(width, full["downsample_padding"])])
            self.down_blocks.append(level)

        self.mid_block = Level([(last, last), (last, last)], full, 0)
        if full["add_attention"]:  # as diffusers, which normalises here only without scale and shift
            attention_groups = groups if full["resnet_time_scale_shift"] == "default" else None
            self.mid_block.attentions.append(Attention(last, full, attention_groups))

        self.up_blocks = nn.ModuleList()
        above = last
        for i, (kind, width) in enumerate(zip(full["up_block_types"], reversed(widths), strict=True)):
            below = widths[max(len(widths) - 2 - i, 0)]
            skips = [*[width] * layers, below]
            inputs = [channels + skip for channels, skip in zip([above, *[width] * layers], skips, strict=True)]
            level = Level([(channels, width) for channels in inputs], full, groups if kind.startswith("Attn") else 0)
            if i + 1 < len(widths):
                level.upsamplers = nn.ModuleList([Upsample2D(width)])
            self.up_blocks.append(level)
            above = width
        self.conv_norm_out = nn.GroupNorm(groups, first, full["norm_eps"])
        self.conv_act = nn.SiLU()
        self.conv_out = nn.Conv2d(first, full["out_channels"], 3, padding=1)

    def forward(self, sample: Tensor, timestep: Tensor, return_dict: bool = False) -> tuple[Tensor]:
        """The network's prediction, as a tuple of one like diffusers'.

        Args:
            sample: (N, C, H, W) in the network's dtype.
            timestep: (1,) or (N,), fractions allowed.
            return_dict: must be False; part of diffusers' signature.
        """
        time = self.times(timestep.expand(len(sample)))
        x = self.conv_in(sample)
        skips, middle = [x], self.mid_block
        down: Iterable[Any] = self.down_blocks
        up: Iterable[Any] = self.up_blocks
        for level in down:
            for i, block in enumerate(level.resnets):
                x = block(x, time)
                x = level.attentions[i](x) if level.attentions else x
                skips.append(x)
            for downsampler in level.downsamplers:
                x = downsampler(x)
                skips.append(x)
        x = middle.resnets[0](x, time)
        for attention in middle.attentions:
            x = attention(x)
        x = middle.resnets[1](x, time)
        for level in up:
            for i, block in enumerate(level.resnets):
                x = block(torch.cat([x, skips.pop()], dim=1), time)
                x = level.attentions[i](x) if level.attentions else x
            for upsampler in level.upsamplers:
                x = upsampler(x)
        return (self.conv_out(self.conv_act(self.conv_norm_out(x))),)

    def times(self, t: Tensor) -> Tensor:
        """The time embedding of timesteps t (N,): (N, 4 width) in the network's dtype."""
        hidden: Tensor = self.time_embedding["linear_1"](self.embedding(t).to(self.conv_norm_out.weight.dtype))
        return self.time_embedding["linear_2"](functional.silu(hidden))  # type: ignore[no-any-return]

    def embedding(self, t: Tensor) -> Tensor:
        """Sines and cosines of timesteps t (N,), float32 (N, width) (arXiv:1706.03762, section 3.5)."""
        half = self.conv_in.out_channels // 2
        exponent = -math.log(10_000) * torch.arange(half, dtype=torch.float32, device=t.device) / (half - self.shift)
        angles = t[:, None].float() * exponent.exp()[None]
        pair = (angles.cos(), angles.sin()) if self.flip else (angles.sin(), angles.cos())
        return torch.cat(pair, dim=-1)
