"""Group normalisation and attention in the forms that are fastest on a CPU, channels last."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FEW_PIXELS = 1024
"""Below this number of pixels torch normalises 16-bit tensors group by group, which takes up to four times as long as
in float32, conversions included."""
MIN_SCORES, MAX_SCORES = 2**16, 2**22
"""Range of the number of attention scores in which two batched matrix products and a softmax take two thirds of the
time of torch's fused attention in bfloat16; above it the scores would need too much memory."""


def is_16_bit_on_cpu(x: Tensor) -> bool:
    """Whether x is a bfloat16 or float16 tensor on the CPU."""
    return x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16)


def affine_parameter(parameter: Tensor) -> Tensor:
    """Scale or shift of a normalisation in the dtype it is used in: float32 for 16-bit tensors on the CPU."""
    return parameter.float() if is_16_bit_on_cpu(parameter) else parameter


def group_norm_silu(x: Tensor, groups: int, weight: Tensor, offset: Tensor, eps: float, *, silu: bool = True) -> Tensor:
    """Group normalisation of x (N, C, H, W), then SiLU: a new tensor of x's dtype.

    Args:
        x: in channels_last layout.
        groups: number of channel groups.
        weight: scale (C,), from `affine_parameter`.
        offset: shift (C,), likewise.
        eps: added to the variances.
        silu: whether to apply SiLU.
    """
    in_float32 = is_16_bit_on_cpu(x) and x.shape[2] * x.shape[3] < FEW_PIXELS
    y = functional.group_norm(x.float() if in_float32 else x, groups, weight, offset, eps)
    y = functional.silu(y, inplace=True) if silu else y
    return y.to(x.dtype) if in_float32 else y


def softmax_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of (N, heads, pixels, width) tensors, as (N, pixels, heads, width)."""
    rows, heads, pixels, width = query.shape
    if not (is_16_bit_on_cpu(query) and MIN_SCORES <= rows * heads * pixels * pixels <= MAX_SCORES):
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    batched = (rows * heads, pixels, width)
    scaled_query = torch.mul(query, width**-0.5).reshape(batched)
    scores = torch.bmm(scaled_query, key.reshape(batched).transpose(1, 2))
    torch.softmax(scores, dim=-1, out=scores)
    return torch.bmm(scores, value.reshape(batched)).view(rows, heads, pixels, width).transpose(1, 2)
