"""Faster forward functions for the blocks of a `UNet2DModel`, with fewer passes over memory.

They use the weights of the file and compute what diffusers' blocks do. Sums are taken in another order, so that results
differ in the last bits (1e-6 of the largest value in float32). Where all rows of a call share one timestep, as in
odekit, the scale and shift of a normalisation are computed once for all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.parts.priors.fast.eight_bit import (
    EightBitConvolution,
    EightBitLinear,
    Grid,
    grid_of,
    group_norm_silu_codes,
    to_codes,
)
from odekit.parts.priors.fast.kernels import affine_parameter, group_norm_silu, softmax_attention
from odekit.parts.priors.fast.packed import PackedConvolution, PackedLinear, packed_convolution

Forward = Callable[..., Tensor]
Affine = tuple[Tensor, Tensor, Grid | None]
"""Scale and shift behind a normalisation, and the grid of the activations where they become 8-bit codes."""
MAX_CACHED_TIMESTEPS = 256
"""Largest number of timesteps in the cache of scales and shifts; the paper's grid has 100."""


@dataclass
class TimestepCache:
    """The timestep of the current network call, and what the blocks compute from the timestep alone."""

    one_timestep: bool = False
    """All rows of the call share one timestep."""
    key: tuple[float, int] | None = None
    """Timestep and number of rows; None where reading the timestep would synchronise with the device."""
    next_timestep: float | None = None
    """Timestep of the next call as a number, set by the caller: on a GPU, reading it from the tensor synchronises."""
    values: dict[tuple[float, int], dict[object, Any]] = field(default_factory=dict)

    def begin(self, timestep: Any, rows: int, unconditional: bool) -> None:
        """Start a call at this timestep; `unconditional` if nothing but the timestep conditions it."""
        self.one_timestep, self.key = not isinstance(timestep, Tensor) or timestep.numel() == 1, None
        number, self.next_timestep = self.next_timestep, None
        synchronises = number is None and isinstance(timestep, Tensor) and timestep.device.type != "cpu"
        if self.one_timestep and unconditional and not synchronises and not torch.compiler.is_compiling():
            self.key = (float(timestep) if number is None else number, rows)

    def get(self, owner: object, compute: Callable[[], Any]) -> Any:
        """The result of `compute`, cached per timestep: Langevin updates make many calls at the same timestep."""
        if self.key is None:
            return compute()
        if self.key not in self.values and len(self.values) >= MAX_CACHED_TIMESTEPS:
            self.values.clear()
        cached = self.values.setdefault(self.key, {})
        if owner not in cached:
            cached[owner] = compute()
        return cached[owner]


def use_fast_blocks(network: nn.Module, pack: bool = True, eight_bit: bool = False) -> nn.Module:
    """Replace the forward functions of supported blocks, in place; a second call does nothing.

    The network must be on its device and in its dtype already, and must not be trained afterwards. Blocks are
    recognised by diffusers' class names. Blocks with unsupported options (FIR kernels, spatial norms, cross attention)
    do not change.

    Args:
        network: a `UNet2DModel` of diffusers, or a `UNet` of `odekit.parts.priors.fast.unet`.
        pack: prepack weights for the CPU (see `odekit.parts.priors.fast.packed`) and delete the modules' own; not
            supported by `torch.compile`.
        eight_bit: compute the convolutions of residual blocks and the queries, keys and values of attentions from
            8-bit integers (see `odekit.parts.priors.fast.eight_bit`); needs packed weights.

    Returns:
        The network.
    """
    if "forward" in vars(network):
        return network
    cache, replaced = TimestepCache(), set[nn.Module]()
    for module in network.modules():
        forward: Forward | None = None
        kind = type(module).__name__
        if kind == "ResnetBlock2D":
            forward = residual_block(module, cache, pack, eight_bit and pack)
        elif kind == "Attention":
            forward = attention_block(module, pack, eight_bit and pack)
        elif kind == "Upsample2D":
            forward = upsampling_block(module, pack)
        elif module not in replaced:
            forward = standalone_convolution(module, pack)
        if forward is not None:
            module.forward = forward
            replaced.update(module.modules())
    act: Any = getattr(network, "conv_act", None)
    if isinstance(act, nn.SiLU):
        act.inplace = True  # its input is the new tensor of a normalisation
    network_forward, times = network.forward, getattr(network, "times", None)
    if times is not None:
        network.times = lambda timestep: cache.get("times", lambda: times(timestep))  # type: ignore[assignment]

    def begin_and_forward(sample: Tensor, timestep: Any, *args: Any, **options: Any) -> Any:
        cache.begin(timestep, len(sample), unconditional=not args and options.keys() <= {"return_dict"})
        return network_forward(sample, timestep, *args, **options)

    network.forward = begin_and_forward
    network.timestep_cache = cache  # type: ignore[assignment]
    return network


def standalone_convolution(module: nn.Module, pack: bool) -> Forward | None:
    """A convolution outside of the other blocks; None if it is not to be packed."""
    conv = packed_convolution(module, pack) if pack else None
    bias: Any = getattr(module, "bias", None)
    return (lambda x: conv(x, bias)) if isinstance(conv, PackedConvolution) and conv.packed else None


class NormedConvolution:
    """Group normalisation, SiLU, and a convolution; between the two the activations are floats or 8-bit codes."""

    def __init__(self, norm: Any, product: PackedConvolution | EightBitConvolution) -> None:
        self.groups, self.eps, self.product = norm.num_groups, norm.eps, product
        self.affine = self.with_grid(affine_parameter(norm.weight), affine_parameter(norm.bias))

    def with_grid(self, scale: Tensor, shift: Tensor) -> Affine:
        """Scale and shift, with the grid for what lies behind them."""
        return scale, shift, grid_of(scale, shift) if isinstance(self.product, EightBitConvolution) else None

    def __call__(self, x: Tensor, affine: Affine, bias: Tensor) -> Tensor:
        """(N, out, H, W) of the dtype of x (N, in, H, W)."""
        scale, shift, grid = affine
        if isinstance(self.product, PackedConvolution):
            return self.product(group_norm_silu(x, self.groups, scale, shift, self.eps), bias)
        assert grid is not None
        codes = group_norm_silu_codes(x, self.groups, scale, shift, self.eps, grid)
        return self.product(codes, grid, bias, x.dtype)

    def scaled_by_row(self, x: Tensor, scale: Tensor, shift: Tensor, bias: Tensor) -> Tensor:
        """The same with a further scale and shift (N, C, 1, 1) for each row."""
        y = group_norm_silu(x, self.groups, *self.affine[:2], self.eps, silu=False)
        y = functional.silu(torch.addcmul(shift, y, 1 + scale), inplace=True)
        if isinstance(self.product, PackedConvolution):
            return self.product(y, bias)
        rows = [affine_parameter(parameter)[:, :, 0, 0] for parameter in (scale, shift)]
        grid = grid_of(self.affine[0] * (1 + rows[0]), self.affine[1] * (1 + rows[0]) + rows[1])
        return self.product(to_codes(y.float(), grid), grid, bias, x.dtype)


def residual_block(block: Any, cache: TimestepCache, pack: bool, eight_bit: bool = False) -> Forward | None:
    """Activations in place, scale and shift inside the normalisation, the shortcut as one matrix product."""
    plain = block.upsample is None and block.downsample is None and block.output_scale_factor == 1.0
    supported = plain and isinstance(block.nonlinearity, nn.SiLU) and block.time_emb_proj is not None
    if not supported or block.time_embedding_norm not in ("default", "scale_shift") or block.skip_time_act:
        return None
    shortcut, bias1, bias2, shortcut_weight = block.conv_shortcut, block.conv1.bias, block.conv2.bias, None
    products = [packed_convolution(conv, pack, eight_bit) for conv in (block.conv1, block.conv2)]
    if products[0] is None or products[1] is None:
        return None
    conv1, conv2 = NormedConvolution(block.norm1, products[0]), NormedConvolution(block.norm2, products[1])
    if shortcut is not None:
        shortcut_weight = shortcut.weight.flatten(1).t()
        bias2 = bias2 if shortcut.bias is None else bias2 + shortcut.bias
    scale_shift = block.time_embedding_norm == "scale_shift"

    def conditioned(temb: Tensor) -> tuple[Tensor, Affine]:
        """For one timestep: bias (C,) of the first convolution; scale and shift (C,) of the second normalisation."""
        time = block.time_emb_proj(functional.silu(temb[:1]))[0]
        if not scale_shift:
            return bias1 + time, conv2.affine
        scale, shift = affine_parameter(time).chunk(2)
        return bias1, conv2.with_grid(conv2.affine[0] * (1 + scale), conv2.affine[1] * (1 + scale) + shift)

    def forward(x: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        if cache.one_timestep:
            bias, affine = cache.get(block, lambda: conditioned(temb))
            y = conv2(conv1(x, conv1.affine, bias), affine, bias2)
        else:
            time, y = block.time_emb_proj(functional.silu(temb))[:, :, None, None], conv1(x, conv1.affine, bias1)
            if scale_shift:
                scale, shift = time.chunk(2, dim=1)
                y = conv2.scaled_by_row(y, scale, shift, bias2)
            else:
                y = conv2(y + time, conv2.affine, bias2)
        if shortcut_weight is None:
            return y.add_(x)
        return from_tokens(tokens(y).addmm_(tokens(x), shortcut_weight), y.shape)

    return forward


def attention_block(block: Any, pack: bool, eight_bit: bool = False) -> Forward | None:
    """Self-attention over the pixels: queries, keys and values in one matrix product, no transposed copies."""
    plain = block.spatial_norm is None and block.norm_q is None and block.norm_k is None and block.residual_connection
    if not plain or block.rescale_output_factor != 1.0 or block.added_kv_proj_dim:
        return None
    heads, norm, to_out = block.heads, block.group_norm, block.to_out[0]
    to_qkv = (block.to_q, block.to_k, block.to_v)
    if len({layer.weight.shape for layer in to_qkv}) > 1 or any(layer.bias is None for layer in to_qkv):
        return None
    weight, bias = torch.cat([layer.weight for layer in to_qkv]), torch.cat([layer.bias for layer in to_qkv])
    out_product = PackedLinear(to_out.weight, to_out.bias, pack=pack)
    qkv_of = normed_product(norm, weight, bias, pack, eight_bit)

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        rows, pixels = x.shape[0], x.shape[2] * x.shape[3]
        query, key, value = qkv_of(x).view(rows, pixels, 3, heads, -1).permute(2, 0, 3, 1, 4)
        output = softmax_attention(query, key, value).reshape(rows * pixels, -1)
        return from_tokens(out_product(output, tokens(x)), x.shape)

    return forward


def normed_product(norm: Any, weight: Tensor, bias: Tensor, pack: bool, eight_bit: bool) -> Callable[[Tensor], Tensor]:
    """Group normalisation of (N, C, H, W), if there is one, and the product with `weight` (out, C): (N H W, out)."""
    if norm is None:
        plain = PackedLinear(weight, bias, pack=pack)
        return lambda x: plain(tokens(x))
    affine = (norm.num_groups, affine_parameter(norm.weight), affine_parameter(norm.bias), norm.eps)
    if not eight_bit:
        product = PackedLinear(weight, bias, pack=pack)
        return lambda x: product(tokens(group_norm_silu(x, *affine, silu=False)))
    coded, grid = EightBitLinear(weight, bias), grid_of(*affine[1:3], silu=False)
    return lambda x: coded(tokens(group_norm_silu_codes(x, *affine, grid, silu=False)), grid, x.dtype)


def upsampling_block(block: Any, pack: bool) -> Forward | None:
    """Nearest-neighbour upsampling by 2 and a 3 x 3 convolution, as convolutions of the input.

    Several of the nine pixels under the kernel are copies of one input pixel. Their weights are summed beforehand,
    which leaves 4/9 of the products.
    """
    plain = block.norm is None and not block.use_conv_transpose and block.interpolate and block.use_conv
    conv = (block.conv if block.name == "conv" else block.Conv2d_0) if plain else None
    if conv is None or conv.kernel_size != (3, 3) or conv.padding != (1, 1) or conv.stride != (1, 1):
        return None
    original = type(block).forward
    upsample = (as_transposed_convolution if conv.weight.device.type == "cpu" else as_four_convolutions)(conv, pack)

    def forward(x: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        output: Tensor = upsample(x) if output_size is None else original(block, x, output_size)
        return output

    return forward


def summed_weights(conv: Any) -> Tensor:
    """Weights (2, 2, out, in, 2, 2), float64, on the input for each output row and column parity."""
    # Kernel rows 0, 1, 2 lie on input rows -1, 0, 0 for even output rows, and on input rows 0, 0, 1 for odd ones.
    sums = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)
    return torch.einsum("yaj,xbk,oijk->yxoiab", sums, sums, conv.weight.cpu().double())


def as_transposed_convolution(conv: Any, pack: bool) -> Forward:
    """One transposed convolution of stride 2: kernel row 3 - y - 2a takes input row a to the output row of parity y."""
    weights = summed_weights(conv).permute(3, 2, 4, 0, 5, 1).flip(2, 3, 4, 5).flatten(4, 5).flatten(2, 3)
    weight = weights.to(conv.weight).contiguous(memory_format=torch.channels_last)
    product = PackedConvolution(weight, 2, 1, transposed=True, pack=pack)
    return lambda x: product(x, conv.bias)


def as_four_convolutions(conv: Any, pack: bool) -> Forward:
    """Four 2 x 2 convolutions with interleaved outputs; for GPUs."""
    weight = summed_weights(conv).flatten(0, 2).to(conv.weight).contiguous(memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.repeat(4)

    def forward(x: Tensor) -> Tensor:
        rows, height, width = x.shape[0], x.shape[2], x.shape[3]
        outputs = functional.conv2d(x, weight, bias, padding=1).chunk(4, dim=1)
        size = (rows, outputs[0].shape[1], 2 * height, 2 * width)
        interleaved = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for i, output in enumerate(outputs):
            row, column = divmod(i, 2)
            interleaved[:, :, row::2, column::2] = output[:, :, row : row + height, column : column + width]
        return interleaved

    return forward


def tokens(x: Tensor) -> Tensor:
    """Tokens (N H W, C) of x (N, C, H, W); no copy in channels_last layout."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def from_tokens(flat: Tensor, shape: torch.Size) -> Tensor:
    """Tokens (N H W, C) as (N, C, H, W) in channels_last layout."""
    return flat.view(shape[0], shape[2], shape[3], -1).permute(0, 3, 1, 2)
