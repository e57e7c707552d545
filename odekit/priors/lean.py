"""The same network with fewer passes over memory: blocks of a `UNet2DModel` that compute what diffusers' do.

Weights are those of the file. Sums are taken in another order, so that results differ in the last bits (1e-6 of the
largest value in float32). Where all rows of a call are at one timestep, as in odekit, the scale and shift of a
normalisation are one set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Block = Callable[..., Tensor]


@dataclass
class Call:
    """What the blocks of a network know of the call under way."""

    one_timestep: bool = False


def lean(network: nn.Module) -> nn.Module:
    """Exchange the blocks it knows, in place; the network must be on its device, in its type, and not be trained.

    Blocks are known by the names that diffusers gives them. Those with options that are not handled here (FIR kernels,
    spatial norms, cross attention) stay as they are.
    """
    call = Call()
    for module in network.modules():
        made: Block | None = None
        kind = type(module).__name__
        if kind == "ResnetBlock2D":
            made = residual(module, call)
        elif kind == "Attention":
            made = attention(module)
        elif kind == "Upsample2D":
            made = enlarged(module)
        if made is not None:
            module.forward = made
    act: Any = getattr(network, "conv_act", None)
    if isinstance(act, nn.SiLU):
        act.inplace = True  # what it is given is the fresh result of a normalisation
    own = network.forward

    def forward(sample: Tensor, timestep: Any, *args: Any, **options: Any) -> Any:
        call.one_timestep = not isinstance(timestep, Tensor) or timestep.numel() == 1
        return own(sample, timestep, *args, **options)

    network.forward = forward
    return network


def residual(block: Any, call: Call) -> Block | None:
    """A residual block: activations in place, scale and shift inside the normalisation, the shortcut as one product."""
    plain = block.upsample is None and block.downsample is None and block.output_scale_factor == 1.0
    known = plain and isinstance(block.nonlinearity, nn.SiLU) and block.time_emb_proj is not None
    if not known or block.time_embedding_norm not in ("default", "scale_shift") or block.skip_time_act:
        return None
    norm1, norm2, conv1, conv2, shortcut = block.norm1, block.norm2, block.conv1, block.conv2, block.conv_shortcut
    bias, across = conv2.bias, None
    if shortcut is not None:
        across = shortcut.weight.flatten(1).t()
        bias = bias if shortcut.bias is None else bias + shortcut.bias
    scaled = block.time_embedding_norm == "scale_shift"

    def forward(x: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        time = block.time_emb_proj(functional.silu(temb[:1] if call.one_timestep else temb))
        y = functional.silu(norm1(x), inplace=True)
        if scaled and call.one_timestep:
            scale, shift = time[0].chunk(2)
            weight, offset = norm2.weight * (1 + scale), norm2.bias * (1 + scale) + shift
            y = functional.group_norm(conv1(y), norm2.num_groups, weight, offset, norm2.eps)
        elif scaled:
            scale, shift = time[:, :, None, None].chunk(2, dim=1)
            y = torch.addcmul(shift, norm2(conv1(y)), 1 + scale)
        elif call.one_timestep:
            y = norm2(functional.conv2d(y, conv1.weight, conv1.bias + time[0], padding=1))
        else:
            y = norm2(conv1(y) + time[:, :, None, None])
        y = functional.conv2d(functional.silu(y, inplace=True), conv2.weight, bias, padding=1)
        if across is None:
            return y.add_(x)
        flat = tokens(y)
        return pictures(flat.addmm_(tokens(x), across), y.shape)

    return forward


def attention(block: Any) -> Block | None:
    """Self-attention over the pixels: queries, keys and values in one product, no transposed copies."""
    plain = block.spatial_norm is None and block.norm_q is None and block.norm_k is None and block.residual_connection
    if not plain or block.rescale_output_factor != 1.0 or block.added_kv_proj_dim:
        return None
    heads, norm, out = block.heads, block.group_norm, block.to_out[0]
    into = (block.to_q, block.to_k, block.to_v)
    if len({part.weight.shape for part in into}) > 1 or any(part.bias is None for part in into):
        return None
    weight = torch.cat([part.weight for part in into])
    bias = torch.cat([part.bias for part in into])

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        rows, pixels = x.shape[0], x.shape[2] * x.shape[3]
        flat = tokens(x)
        normed = flat if norm is None else tokens(norm(x))
        mixed = functional.linear(normed, weight, bias).view(rows, pixels, 3, heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(rows * pixels, -1)
        return pictures(functional.linear(seen, out.weight, out.bias).add_(flat), x.shape)

    return forward


def enlarged(block: Any) -> Block | None:
    """Nearest neighbours twice as large and a 3 x 3 convolution, as four 2 x 2 convolutions of the small picture.

    Of the nine pixels under the kernel several are copies of one pixel: their weights are added up beforehand, which
    leaves 4/9 of the products.
    """
    plain = block.norm is None and not block.use_conv_transpose and block.interpolate and block.use_conv
    conv = (block.conv if block.name == "conv" else block.Conv2d_0) if plain else None
    if conv is None or conv.kernel_size != (3, 3) or conv.padding != (1, 1) or conv.stride != (1, 1):
        return None
    own = type(block).forward
    # Kernel row 0, 1, 2 lies on the small picture's row -1, 0, 0 for even rows of the large one, and 0, 0, 1 for odd.
    sums = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)
    four = torch.einsum("yaj,xbk,oijk->yxoiab", sums, sums, conv.weight.cpu().double()).flatten(0, 2)
    weight = four.to(conv.weight).contiguous(memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.repeat(4)

    def forward(x: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        if output_size is not None:
            enlarged: Tensor = own(block, x, output_size)
            return enlarged
        rows, height, width = x.shape[0], x.shape[2], x.shape[3]
        parts = functional.conv2d(x, weight, bias, padding=1).chunk(4, dim=1)
        size = (rows, parts[0].shape[1], 2 * height, 2 * width)
        large = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for i, part in enumerate(parts):
            down, right = divmod(i, 2)
            large[:, :, down::2, right::2] = part[:, :, down : down + height, right : right + width]
        return large

    return forward


def tokens(x: Tensor) -> Tensor:
    """Pixels (N H W, C) of pictures (N, C, H, W); no copy where channels lie last."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def pictures(flat: Tensor, shape: torch.Size) -> Tensor:
    """Pictures (N, C, H, W), channels last, of pixels (N H W, C)."""
    return flat.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2)
