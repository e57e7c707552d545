"""Convolutions and linear layers with weights prepacked in the layout of oneDNN, the CPU library that computes them.

torch's own operations reorder the weights at every call, which for one image takes up to a third of a convolution's
time. Here they are reordered once, by the operations that `torch.compile` uses; oneDNN computes the same. Where these
operations do not exist, torch's own are used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from odekit.parts.priors.fast.eight_bit import EightBitConvolution


def can_prepack(weight: Tensor) -> bool:
    """Whether weights on this device and of this dtype can be prepacked."""
    ops = torch.ops.mkldnn
    available = all(hasattr(ops, name) for name in ("_reorder_convolution_weight", "_reorder_linear_weight"))
    if weight.device.type != "cpu" or not torch._C._has_mkldnn or not available:
        return False
    dtypes = {torch.float32: True, torch.bfloat16: ops._is_mkldnn_bf16_supported()}
    return bool(dtypes.get(weight.dtype, False))


class PackedConvolution:
    """A zero-padded convolution or a transposed one, with weights packed for the shape of its input.

    For an input of another shape they are packed again: with a layout that oneDNN does not expect, a convolution takes
    many times as long.
    """

    def __init__(
        self, weight: Tensor, stride: int, padding: int, *, transposed: bool = False, pack: bool = True
    ) -> None:
        """`weight` is (out, in, k, k), or (in, out, k, k) if transposed."""
        self.weight = weight
        self.stride, self.padding, self.transposed = [stride] * 2, [padding] * 2, transposed
        self.packed = pack and can_prepack(weight)
        self.packed_shape: torch.Size | None = None

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x (N, in, H, W) to (N, out, H', W'), channels last."""
        if not self.packed:
            plain = functional.conv_transpose2d if self.transposed else functional.conv2d
            return plain(x, self.weight, bias, stride=self.stride, padding=self.padding)
        if x.shape != self.packed_shape:
            self._pack(x.shape)
        ops: Any = torch.ops.mkldnn
        rest: tuple[Any, ...] = (self.stride, [1, 1], 1, "none", [], "")
        if self.transposed:
            output = ops._convolution_transpose_pointwise(x, self.weight, bias, self.padding, [0, 0], *rest)
        else:
            output = ops._convolution_pointwise(x, self.weight, bias, self.padding, *rest)
        return output  # type: ignore[no-any-return]

    def _pack(self, shape: torch.Size) -> None:
        """Replace the weights by weights packed for an input of this shape."""
        dense, ops = self.weight, torch.ops.mkldnn
        if self.packed_shape is not None:
            dense = dense.to_dense().transpose(0, 1) if self.transposed else dense.to_dense()
        rest: tuple[Any, ...] = (self.stride, [1, 1], 1, list(shape))
        if self.transposed:
            self.weight = ops._reorder_convolution_transpose_weight(dense, self.padding, [0, 0], *rest)
        else:
            self.weight = ops._reorder_convolution_weight(dense, self.padding, *rest)
        self.packed_shape = shape


class PackedLinear:
    """`x @ weight.T + bias + plus`. Weights are packed below float32; in float32 torch's own layer is as fast."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, pack: bool = True) -> None:
        """`weight` is (out, in)."""
        self.weight, self.bias = weight, bias
        self.packed = pack and weight.dtype != torch.float32 and can_prepack(weight)
        self.packed_rows = 0

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """x (rows, in) to (rows, out); `plus` (rows, out) is added."""
        if not self.packed:
            output = functional.linear(x, self.weight, self.bias)
            return output if plus is None else output.add_(plus)
        if len(x) != self.packed_rows:
            dense = self.weight.to_dense() if self.packed_rows else self.weight
            self.weight, self.packed_rows = torch.ops.mkldnn._reorder_linear_weight(dense, len(x)), len(x)
        linear = torch.ops.mkldnn._linear_pointwise
        if plus is None:
            return linear(x, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]
        return linear.binary(x, plus, self.weight, self.bias, "add")  # type: ignore[no-any-return]


def packed_convolution(
    module: Any, pack: bool, eight_bit: bool = False
) -> PackedConvolution | EightBitConvolution | None:
    """The convolution of a module with packed weights; None if the module is not a convolution that these support.

    If the weights are packed, the module's own are deleted, so that memory holds them once.

    Args:
        module: of a network.
        pack: pack the weights where the processor's library does.
        eight_bit: prefer products of 8-bit integers; convolutions of another stride than 1 stay as they are.
    """
    if not isinstance(module, nn.Conv2d) or module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    if module.groups != 1 or set(module.dilation) != {1}:
        return None
    if len(set(module.stride)) > 1 or len(set(module.padding)) > 1:
        return None
    if eight_bit and module.stride[0] == 1:
        coded = EightBitConvolution(module.weight, module.padding[0])
        module.weight = None  # type: ignore[assignment]
        return coded
    packed = PackedConvolution(module.weight.detach(), module.stride[0], module.padding[0], pack=pack)
    if packed.packed:
        module.weight = None  # type: ignore[assignment]
    return packed
