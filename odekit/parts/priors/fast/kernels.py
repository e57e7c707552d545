"""Normalisation and attention in the form that a processor computes fastest, with channels last."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FEW = 1024
"""Below so many pixels torch normalises 16-bit numbers group by group, which takes up to four times as long as in
float32, conversions included."""
SMALL, LARGE = 2**16, 2**22
"""Between so many products of a query and a key, attention in bfloat16 takes two thirds of the time as two products of
matrices and a softmax; with more of them it would need much memory."""


def halves(x: Tensor) -> bool:
    """Whether these are 16-bit numbers on the processor."""
    return x.device.type == "cpu" and x.dtype in (torch.bfloat16, torch.float16)


def scales(parameter: Tensor) -> Tensor:
    """Scale or shift of a normalisation in the type it is used in: float32 on the processor."""
    return parameter.float() if halves(parameter) else parameter


def normalised(x: Tensor, groups: int, weight: Tensor, offset: Tensor, eps: float, *, silu: bool = True) -> Tensor:
    """Group normalisation of pictures (N, C, H, W), then SiLU: fresh memory of x's type.

    Args:
        x: channels last.
        groups: of channels.
        weight: (C,), as `scales` makes it.
        offset: likewise.
        eps: added to variances.
        silu: whether SiLU follows.
    """
    wide = halves(x) and x.shape[2] * x.shape[3] < FEW
    y = functional.group_norm(x.float() if wide else x, groups, weight, offset, eps)
    y = functional.silu(y, inplace=True) if silu else y
    return y.to(x.dtype) if wide else y


def attended(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of (N, heads, pixels, width), as (N, pixels, heads, width)."""
    rows, heads, pixels, width = query.shape
    if not (halves(query) and SMALL <= rows * heads * pixels * pixels <= LARGE):
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2)
    many = (rows * heads, pixels, width)
    asked = torch.mul(query, width**-0.5).reshape(many)
    likeness = torch.bmm(asked, key.reshape(many).transpose(1, 2))
    torch.softmax(likeness, dim=-1, out=likeness)
    return torch.bmm(likeness, value.reshape(many)).view(rows, heads, pixels, width).transpose(1, 2)
