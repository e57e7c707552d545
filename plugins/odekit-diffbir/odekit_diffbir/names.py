"""Official tensor names and those of the diffusers modules, both ways.

Both directions use a table of module names; a tensor belongs to the longest module name that is its prefix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from odekit_diffbir.shapes import Shape

Pairs = Iterator[tuple[str, str]]

RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
VAE_RESIDUAL = {"norm1": "norm1", "conv1": "conv1", "norm2": "norm2", "conv2": "conv2", "nin_shortcut": "conv_shortcut"}
VAE_ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
ONE_BY_ONE_KERNELS = re.compile(r"\.mid\.attn_1\.(q|k|v|proj_out)\.weight$")
"""Linear layers of the autoencoder that official files store as 1x1 convolutions."""


class Names:
    """Tensor names of one network (`controlnet`, `unet` or `vae`)."""

    def __init__(self, network: str, shape: Shape) -> None:
        pairs = dict(vae(shape) if network == "vae" else unet(shape, control=network == "controlnet"))
        self._to_diffusers = pairs
        self._to_official = {target: name for name, target in pairs.items()}

    def target(self, official: str) -> str:
        """The diffusers name. Raises KeyError for a name that is not of this network."""
        return _replaced(official, self._to_diffusers)

    def official(self, target: str) -> str:
        """The official name. Raises KeyError for a name that is not of this network."""
        return _replaced(target, self._to_official)


def _replaced(name: str, table: dict[str, str]) -> str:
    module, rest = name, ""
    while module not in table:
        module, dot, last = module.rpartition(".")
        if not dot:
            raise KeyError(name)
        rest = f".{last}{rest}"
    return table[module] + rest


def unet(shape: Shape, control: bool) -> Pairs:
    """Modules of the UNet, or of the ControlNet (a 1x1 convolution per control tensor instead of output blocks)."""
    levels, last = range(len(shape.multipliers)), len(shape.multipliers) - 1
    yield "time_embed.0", "time_embedding.linear_1"
    yield "time_embed.2", "time_embedding.linear_2"
    yield "input_blocks.0.0", "conv_in"
    n = 1
    for level in levels:
        for j in range(shape.blocks):
            target = f"down_blocks.{level}"
            yield from _block(f"input_blocks.{n}", target, j, level < shape.transformers)
            n += 1
        if level < last:
            yield f"input_blocks.{n}.0.op", f"down_blocks.{level}.downsamplers.0.conv"
            n += 1
    yield from _submodules("middle_block.0", "mid_block.resnets.0", RESIDUAL)
    yield "middle_block.1", "mid_block.attentions.0"
    yield from _submodules("middle_block.2", "mid_block.resnets.1", RESIDUAL)
    if control:
        for i in range(n):
            yield f"zero_convs.{i}.0", f"controlnet_down_blocks.{i}"
        yield "middle_block_out.0", "controlnet_mid_block"
        return
    n = 0
    for up, level in enumerate(reversed(levels)):
        attends = level < shape.transformers
        for j in range(shape.blocks + 1):
            yield from _block(f"output_blocks.{n}", f"up_blocks.{up}", j, attends)
            if j == shape.blocks and level > 0:
                yield f"output_blocks.{n}.{2 if attends else 1}.conv", f"up_blocks.{up}.upsamplers.0.conv"
            n += 1
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"


def vae(shape: Shape) -> Pairs:
    """Modules of the autoencoder. Official files number the decoder's levels in reverse order."""
    levels = len(shape.vae_multipliers)
    yield "quant_conv", "quant_conv"
    yield "post_quant_conv", "post_quant_conv"
    for half, way, blocks in (("encoder", "down", shape.blocks), ("decoder", "up", shape.blocks + 1)):
        yield f"{half}.conv_in", f"{half}.conv_in"
        yield f"{half}.norm_out", f"{half}.conv_norm_out"
        yield f"{half}.conv_out", f"{half}.conv_out"
        yield from _submodules(f"{half}.mid.block_1", f"{half}.mid_block.resnets.0", VAE_RESIDUAL)
        yield from _submodules(f"{half}.mid.block_2", f"{half}.mid_block.resnets.1", VAE_RESIDUAL)
        yield from _submodules(f"{half}.mid.attn_1", f"{half}.mid_block.attentions.0", VAE_ATTENTION)
        for i in range(levels):
            level = i if way == "down" else levels - 1 - i
            target = f"{half}.{way}_blocks.{level}"
            for j in range(blocks):
                yield from _submodules(f"{half}.{way}.{i}.block.{j}", f"{target}.resnets.{j}", VAE_RESIDUAL)
            yield f"{half}.{way}.{i}.{way}sample", f"{target}.{way}samplers.0"


def _block(name: str, target: str, j: int, attends: bool) -> Pairs:
    yield from _submodules(f"{name}.0", f"{target}.resnets.{j}", RESIDUAL)
    if attends:
        yield f"{name}.1", f"{target}.attentions.{j}"


def _submodules(name: str, target: str, table: dict[str, str]) -> Pairs:
    for official, diffusers in table.items():
        yield f"{name}.{official}", f"{target}.{diffusers}"
