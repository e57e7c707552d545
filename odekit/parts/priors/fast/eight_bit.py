"""Convolutions and products of 8-bit integers on a CPU (Jacob et al. 2018, arXiv:1712.05877, section 2).

An activation is stored as `round(x / step) + zero`, a weight as `round(w / scale)` with a scale for each output
channel. The range of the activations follows from the network alone: behind a group normalisation, before its scale
and shift, their standard deviation is one. With a range measured in the batch, a picture's result would depend on the
others. It still depends on their number, in the last bits of what is not in 8 bits.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

DEVIATIONS = 4.0
"""Standard deviations of a normalised activation that have codes of their own; values beyond get the last code. The
calibration pictures are restored with 51.4, 52.3, 51.9 and 49.4 dB to float32 with 3, 4, 5 and 7; the excess by which
`blind` decides errs by .006 with 4, by .011 with 5 and by .027 with 7 (standard deviation, 36 damaged faces)."""
LOWEST_SILU = -0.2784645
"""The minimum of SiLU."""
CODES = 255


class Grid(NamedTuple):
    """How reals are stored in 8 bits: `code = round(real / step) + zero`."""

    step: float
    zero: int


def grid_of(scale: Tensor, shift: Tensor, *, silu: bool = True) -> Grid:
    """The grid of `scale n + shift`, with SiLU behind it or not, for normalised n; scale and shift have one shape."""
    reach = DEVIATIONS * scale.float().abs()
    high = max(float((shift.float() + reach).amax()), 1e-3)
    low = LOWEST_SILU if silu else min(float((shift.float() - reach).amin()), -1e-3)
    step = (high - low) / CODES
    return Grid(step, round(-low / step))


def to_codes(x: Tensor, grid: Grid) -> Tensor:
    """x of float32 as codes: uint8 of the same layout."""
    if not _has_quantised_tensors():
        codes = (x / grid.step).round_().add_(grid.zero).clamp_(0, CODES)
        return codes.to(torch.uint8, memory_format=torch.preserve_format)
    quantised = torch.quantize_per_tensor(x, grid.step, grid.zero, torch.quint8)
    # The same memory as plain integers: `int_repr` would copy it, which takes five times as long as all of this.
    codes = torch.empty(0, dtype=torch.uint8)
    return codes.set_(quantised.untyped_storage(), 0, quantised.shape, quantised.stride())


@cache
def _has_quantised_tensors() -> bool:
    """Whether this release of torch has them, which give codes in one pass. It says that a later one will not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return True


@dataclass(frozen=True)
class EightBitWeight:
    """Weights (out, ...) as codes of -127 to 127."""

    codes: Tensor
    scale: Tensor
    """(out,): float32."""
    zeros: Tensor

    @classmethod
    def of(cls, weight: Tensor) -> EightBitWeight:
        """Rounded to the nearest codes."""
        flat = weight.detach().float().flatten(1)
        scale = flat.abs().amax(1).clamp_min(1e-12) / 127
        codes = (flat / scale[:, None]).round().to(torch.int8).view(weight.shape)
        return cls(codes, scale, torch.zeros(len(codes), dtype=torch.int32))


class EightBitConvolution:
    """A zero-padded convolution of stride 1; its weights are packed again for an input of another shape."""

    def __init__(self, weight: Tensor, padding: int) -> None:
        """`weight` is (out, in, k, k)."""
        self.weight, self.padding = EightBitWeight.of(weight), [padding] * 2
        self.packed: Tensor | None = None
        self.packed_shape: torch.Size | None = None

    def __call__(self, codes: Tensor, grid: Grid, bias: Tensor, dtype: torch.dtype) -> Tensor:
        """Codes (N, in, H, W), channels last, to (N, out, H', W') of a float type."""
        ops: Any = torch.ops.onednn
        weight, rest = self.weight, ([1, 1], self.padding, [1, 1], 1)
        if codes.shape != self.packed_shape:
            self.packed = ops.qconv_prepack(weight.codes, weight.scale, grid.step, grid.zero, *rest, list(codes.shape))
            self.packed_shape = codes.shape
        output: Tensor = ops.qconv2d_pointwise(
            codes, grid.step, grid.zero, self.packed, weight.scale, weight.zeros, bias.float(), *rest,
            1.0, 0, dtype, "none", [], "",
        )  # fmt: skip
        return output


class EightBitLinear:
    """`x @ weight.T + bias`."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        """`weight` is (out, in)."""
        self.weight, self.bias = EightBitWeight.of(weight), bias.detach().float()
        self.packed: Tensor | None = None
        self.packed_shape: torch.Size | None = None

    def __call__(self, codes: Tensor, grid: Grid, dtype: torch.dtype) -> Tensor:
        """Codes (rows, in) to (rows, out) of a float type."""
        ops: Any = torch.ops.onednn
        if codes.shape != self.packed_shape:
            self.packed, self.packed_shape = ops.qlinear_prepack(self.weight.codes, list(codes.shape)), codes.shape
        output: Tensor = ops.qlinear_pointwise(
            codes, grid.step, grid.zero, self.packed, self.weight.scale, self.weight.zeros, self.bias,
            1.0, 0, dtype, "none", [], "",
        )  # fmt: skip
        return output


def group_norm_silu_codes(
    x: Tensor, groups: int, weight: Tensor, offset: Tensor, eps: float, grid: Grid, *, silu: bool = True
) -> Tensor:
    """Group normalisation of x (N, C, H, W), channels last, then SiLU, as codes; computed in float32."""
    y = functional.group_norm(x.float(), groups, weight, offset, eps)
    return to_codes(functional.silu(y, inplace=True) if silu else y, grid)
