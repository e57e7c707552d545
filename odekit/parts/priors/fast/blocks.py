"""The same network with fewer passes over memory: blocks of a `UNet2DModel` that compute what diffusers' do.

Weights are those of the file. Sums are taken in another order, so that results differ in the last bits (1e-6 of the
largest value in float32). Where all rows of a call are at one timestep, as in odekit, the scale and shift of a
normalisation are one set of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.parts.priors.fast.kernels import attended, normalised, scales
from odekit.parts.priors.fast.packed import Convolution, Product, convolution

Block = Callable[..., Tensor]
KEPT = 256
"""Timesteps whose scales and shifts are kept; the paper's grid has 100."""


@dataclass
class Call:
    """What the blocks of a network know of the call under way."""

    one_timestep: bool = False
    at: tuple[float, int] | None = None
    """Timestep and number of rows, where they can be told without waiting for a device."""
    known: float | None = None
    """The timestep of the next call, from a caller who knows it: on a card, looking at the tensor would wait."""
    kept: dict[tuple[float, int], dict[object, Any]] = field(default_factory=dict)

    def begin(self, timestep: Any, rows: int, alone: bool) -> None:
        """A call at this timestep, `alone` where nothing else conditions it."""
        self.one_timestep, self.at = not isinstance(timestep, Tensor) or timestep.numel() == 1, None
        known, self.known = self.known, None
        waits = known is None and isinstance(timestep, Tensor) and timestep.device.type != "cpu"
        if self.one_timestep and alone and not waits and not torch.compiler.is_compiling():
            self.at = (float(timestep) if known is None else known, rows)

    def once(self, who: object, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for a timestep: Langevin updates ask a hundred times at the same one."""
        if self.at is None:
            return make()
        if self.at not in self.kept and len(self.kept) >= KEPT:
            self.kept.clear()
        mine = self.kept.setdefault(self.at, {})
        if who not in mine:
            mine[who] = make()
        return mine[who]


def lean(network: nn.Module, pack: bool = True) -> nn.Module:
    """Exchange the blocks it knows, in place, once; the network must be on its device, in its type, and not be trained.

    Blocks are known by the names that diffusers gives them. Those with options that are not handled here (FIR kernels,
    spatial norms, cross attention) stay as they are.

    Args:
        network: as diffusers or `odekit.parts.priors.fast.unet` builds it.
        pack: lay weights out for the processor's library (see `odekit.parts.priors.fast.packed`), which `torch.compile` must not
            meet; the modules' own weights are given up for it.
    """
    if "forward" in vars(network):
        return network  # it has been here before
    call, taken = Call(), set[nn.Module]()
    for module in network.modules():
        made: Block | None = None
        kind = type(module).__name__
        if kind == "ResnetBlock2D":
            made = residual(module, call, pack)
        elif kind == "Attention":
            made = attention(module, pack)
        elif kind == "Upsample2D":
            made = enlarged(module, pack)
        elif module not in taken:
            made = alone(module, pack)
        if made is not None:
            module.forward = made
            taken.update(module.modules())
    act: Any = getattr(network, "conv_act", None)
    if isinstance(act, nn.SiLU):
        act.inplace = True  # what it is given is the fresh result of a normalisation
    own, times = network.forward, getattr(network, "times", None)
    if times is not None:
        network.times = lambda timestep: call.once("times", lambda: times(timestep))  # type: ignore[assignment]

    def forward(sample: Tensor, timestep: Any, *args: Any, **options: Any) -> Any:
        call.begin(timestep, len(sample), alone=not args and options.keys() <= {"return_dict"})
        return own(sample, timestep, *args, **options)

    network.forward = forward
    network.call = call  # type: ignore[assignment]
    return network


def alone(module: nn.Module, pack: bool) -> Block | None:
    """A convolution that belongs to no other block."""
    made = convolution(module, pack) if pack else None
    bias: Any = getattr(module, "bias", None)
    return None if made is None or not made.packed else lambda x: made(x, bias)


def residual(block: Any, call: Call, pack: bool) -> Block | None:
    """A residual block: activations in place, scale and shift inside the normalisation, the shortcut as one product."""
    plain = block.upsample is None and block.downsample is None and block.output_scale_factor == 1.0
    known = plain and isinstance(block.nonlinearity, nn.SiLU) and block.time_emb_proj is not None
    if not known or block.time_embedding_norm not in ("default", "scale_shift") or block.skip_time_act:
        return None
    norm1, norm2, shortcut = block.norm1, block.norm2, block.conv_shortcut
    bias1, bias, across = block.conv1.bias, block.conv2.bias, None
    conv1, conv2 = convolution(block.conv1, pack), convolution(block.conv2, pack)
    if conv1 is None or conv2 is None:
        return None
    if shortcut is not None:
        across = shortcut.weight.flatten(1).t()
        bias = bias if shortcut.bias is None else bias + shortcut.bias
    scaled = block.time_embedding_norm == "scale_shift"
    first = (scales(norm1.weight), scales(norm1.bias))
    second = (scales(norm2.weight), scales(norm2.bias))

    def told(temb: Tensor) -> tuple[Tensor, Tensor]:
        """Of the one timestep: scale and shift (C,) of the second normalisation, or the first convolution's bias."""
        time = block.time_emb_proj(functional.silu(temb[:1]))[0]
        if not scaled:
            return bias1 + time, time
        scale, shift = scales(time).chunk(2)
        return second[0] * (1 + scale), second[1] * (1 + scale) + shift

    def forward(x: Tensor, temb: Tensor, *_: Any, **__: Any) -> Tensor:
        y = normalised(x, norm1.num_groups, *first, norm1.eps)
        if call.one_timestep:
            one, other = call.once(block, lambda: told(temb))
            affine: tuple[Tensor, Tensor] = (one, other) if scaled else second
            y = normalised(conv1(y, bias1 if scaled else one), norm2.num_groups, *affine, norm2.eps)
        else:
            time, y = block.time_emb_proj(functional.silu(temb))[:, :, None, None], conv1(y, bias1)
            y = y if scaled else y + time
            y = normalised(y, norm2.num_groups, *second, norm2.eps, silu=not scaled)
            if scaled:
                scale, shift = time.chunk(2, dim=1)
                y = functional.silu(torch.addcmul(shift, y, 1 + scale), inplace=True)
        y = conv2(y, bias)
        if across is None:
            return y.add_(x)
        flat = tokens(y)
        return pictures(flat.addmm_(tokens(x), across), y.shape)

    return forward


def attention(block: Any, pack: bool) -> Block | None:
    """Self-attention over the pixels: queries, keys and values in one product, no transposed copies."""
    plain = block.spatial_norm is None and block.norm_q is None and block.norm_k is None and block.residual_connection
    if not plain or block.rescale_output_factor != 1.0 or block.added_kv_proj_dim:
        return None
    heads, norm, out = block.heads, block.group_norm, block.to_out[0]
    into = (block.to_q, block.to_k, block.to_v)
    if len({part.weight.shape for part in into}) > 1 or any(part.bias is None for part in into):
        return None
    mix = Product(torch.cat([part.weight for part in into]), torch.cat([part.bias for part in into]), pack=pack)
    join = Product(out.weight, out.bias, pack=pack)
    affine: Any = None if norm is None else (norm.num_groups, scales(norm.weight), scales(norm.bias), norm.eps)

    def forward(x: Tensor, *_: Any, **__: Any) -> Tensor:
        rows, pixels = x.shape[0], x.shape[2] * x.shape[3]
        flat = tokens(x)
        normed = flat if affine is None else tokens(normalised(x, *affine, silu=False))
        mixed = mix(normed).view(rows, pixels, 3, heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)
        seen = attended(query, key, value).reshape(rows * pixels, -1)
        return pictures(join(seen, flat), x.shape)

    return forward


def enlarged(block: Any, pack: bool) -> Block | None:
    """Nearest neighbours twice as large and a 3 x 3 convolution, as convolutions of the small picture.

    Of the nine pixels under the kernel several are copies of one pixel: their weights are added up beforehand, which
    leaves 4/9 of the products.
    """
    plain = block.norm is None and not block.use_conv_transpose and block.interpolate and block.use_conv
    conv = (block.conv if block.name == "conv" else block.Conv2d_0) if plain else None
    if conv is None or conv.kernel_size != (3, 3) or conv.padding != (1, 1) or conv.stride != (1, 1):
        return None
    own, large = type(block).forward, (transposed if conv.weight.device.type == "cpu" else fourfold)(conv, pack)

    def forward(x: Tensor, output_size: Any = None, *_: Any, **__: Any) -> Tensor:
        made: Tensor = large(x) if output_size is None else own(block, x, output_size)
        return made

    return forward


def summed(conv: Any) -> Tensor:
    """Weights (2, 2, out, in, 2, 2), float64, of the small picture for the four kinds of pixels of the large one."""
    # Kernel row 0, 1, 2 lies on the small picture's row -1, 0, 0 for even rows of the large one, and 0, 0, 1 for odd.
    sums = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float64)
    return torch.einsum("yaj,xbk,oijk->yxoiab", sums, sums, conv.weight.cpu().double())


def transposed(conv: Any, pack: bool) -> Block:
    """As one transposed convolution of stride 2: row 3 - y - 2a of its kernel is what row y of two takes from a."""
    four = summed(conv).permute(3, 2, 4, 0, 5, 1).flip(2, 3, 4, 5).flatten(4, 5).flatten(2, 3)
    weight = four.to(conv.weight).contiguous(memory_format=torch.channels_last)
    product = Convolution(weight, 2, 1, transposed=True, pack=pack)
    return lambda x: product(x, conv.bias)


def fourfold(conv: Any, pack: bool) -> Block:
    """As four 2 x 2 convolutions, whose results are laid between each other; for graphics cards."""
    weight = summed(conv).flatten(0, 2).to(conv.weight).contiguous(memory_format=torch.channels_last)
    bias = None if conv.bias is None else conv.bias.repeat(4)

    def forward(x: Tensor) -> Tensor:
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
