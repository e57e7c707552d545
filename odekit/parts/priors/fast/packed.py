"""Convolutions and products whose weights lie as the processor's library (oneDNN) computes with them.

torch's own operations lay the weights out anew at every call, which for one picture takes up to a third of a
convolution's time. Here it is done once, by the operations that `torch.compile` uses for it; the library computes the
same. Where they do not exist, torch's own take their place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def packs(weight: Tensor) -> bool:
    """Whether weights on this device and of this type can be laid out beforehand."""
    ops = torch.ops.mkldnn
    known = all(hasattr(ops, name) for name in ("_reorder_convolution_weight", "_reorder_linear_weight"))
    if weight.device.type != "cpu" or not torch._C._has_mkldnn or not known:
        return False
    kinds = {torch.float32: True, torch.bfloat16: ops._is_mkldnn_bf16_supported()}
    return bool(kinds.get(weight.dtype, False))


class Convolution:
    """A convolution with zeros around the picture, or a transposed one; weights are laid out for the pictures it sees.

    With pictures of another size or number they are laid out again: in a layout that the library does not expect, a
    convolution takes many times as long.
    """

    def __init__(
        self, weight: Tensor, stride: int, padding: int, *, transposed: bool = False, pack: bool = True
    ) -> None:
        """Weights (out, in, k, k); of a transposed one (in, out, k, k)."""
        self.weight = weight
        self.stride, self.padding, self.transposed = [stride] * 2, [padding] * 2, transposed
        self.packed = pack and packs(weight)
        self.laid: torch.Size | None = None

    def __call__(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """Pictures (N, in, H, W) to (N, out, H', W'), channels last."""
        if not self.packed:
            plain = functional.conv_transpose2d if self.transposed else functional.conv2d
            return plain(x, self.weight, bias, stride=self.stride, padding=self.padding)
        if x.shape != self.laid:
            self._lay(x.shape)
        ops: Any = torch.ops.mkldnn
        rest: tuple[Any, ...] = (self.stride, [1, 1], 1, "none", [], "")
        if self.transposed:
            made = ops._convolution_transpose_pointwise(x, self.weight, bias, self.padding, [0, 0], *rest)
        else:
            made = ops._convolution_pointwise(x, self.weight, bias, self.padding, *rest)
        return made  # type: ignore[no-any-return]

    def _lay(self, shape: torch.Size) -> None:
        """Lay the weights out for pictures of this shape; how they lay before is not kept."""
        dense, ops = self.weight, torch.ops.mkldnn
        if self.laid is not None:
            dense = dense.to_dense().transpose(0, 1) if self.transposed else dense.to_dense()
        rest: tuple[Any, ...] = (self.stride, [1, 1], 1, list(shape))
        if self.transposed:
            self.weight = ops._reorder_convolution_transpose_weight(dense, self.padding, [0, 0], *rest)
        else:
            self.weight = ops._reorder_convolution_weight(dense, self.padding, *rest)
        self.laid = shape


class Product:
    """`x @ weight.T + bias`, and what is to be added to it; packed below float32 (in it, torch's own are as fast)."""

    def __init__(self, weight: Tensor, bias: Tensor | None, *, pack: bool = True) -> None:
        """Weights (out, in)."""
        self.weight, self.bias = weight, bias
        self.packed = pack and weight.dtype != torch.float32 and packs(weight)
        self.laid = 0

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        """(rows, in) to (rows, out); `plus` is (rows, out)."""
        if not self.packed:
            made = functional.linear(x, self.weight, self.bias)
            return made if plus is None else made.add_(plus)
        if len(x) != self.laid:
            dense = self.weight.to_dense() if self.laid else self.weight
            self.weight, self.laid = torch.ops.mkldnn._reorder_linear_weight(dense, len(x)), len(x)
        said = torch.ops.mkldnn._linear_pointwise
        if plus is None:
            return said(x, self.weight, self.bias, "none", [], "")  # type: ignore[no-any-return]
        return said.binary(x, plus, self.weight, self.bias, "add")  # type: ignore[no-any-return]


def convolution(module: Any, pack: bool) -> Convolution | None:
    """A convolution module's; None where it is of a kind that is not handled here.

    Where the weights are packed the module gives them up, so that they are held once.
    """
    if not isinstance(module, nn.Conv2d) or module.padding_mode != "zeros" or isinstance(module.padding, str):
        return None
    if module.groups != 1 or set(module.dilation) != {1}:
        return None
    if len(set(module.stride)) > 1 or len(set(module.padding)) > 1:
        return None
    made = Convolution(module.weight.detach(), module.stride[0], module.padding[0], pack=pack)
    if made.packed:
        module.weight = None  # type: ignore[assignment]
    return made
