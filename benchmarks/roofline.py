"""The least time of an operation on a machine: by its products and sums, and by the bytes that it moves.

Williams, Waterman, Patterson, "Roofline" (2009): no operation is quicker than its arithmetic at the peak rate, nor
than its operands and results at the rate of memory. Operands that still lie in a cache can be read faster than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.clock import Clock

COPIED = 64 * 2**20
"""Bytes of the array whose copy measures the rate of memory: more than a core's share of the caches."""
COPIES = 10
VIEWS = (
    "permute",
    "view",
    "reshape",
    "expand",
    "transpose",
    "unflatten",
    "flatten",
    "slice",
    "select",
    "t",
    "split",
    "chunk",
)
"""Operations that mostly return the same memory in another shape."""


@dataclass(frozen=True)
class Work:
    """What operations do."""

    products: float = 0.0
    """Products and sums; only those of matrix products and convolutions are counted."""
    moved: float = 0.0
    """Bytes of operands and results."""

    def __add__(self, other: Work) -> Work:
        return Work(self.products + other.products, self.moved + other.moved)

    def least_seconds(self, rate: float, bandwidth: float) -> float:
        """At this many products and sums, and this many bytes, per second."""
        return max(self.products / rate, self.moved / bandwidth)


def work_of(name: str, arguments: Any, result: Any) -> Work:
    """The work of one operation of torch.

    Args:
        name: of the operation, as the dispatcher gives it.
        arguments: its positional arguments.
        result: what it returned.
    """
    operands = list(tensors(arguments))
    if name.split(".")[0] in VIEWS and shares_storage(operands, result):
        return Work()
    moved = sum(one.numel() * one.element_size() for one in [*operands, *tensors(result)])
    return Work(products_of(name, operands, result), float(moved))


def products_of(name: str, operands: list[Any], result: Any) -> float:
    """Products and sums of a convolution or matrix product; 0 for everything else."""
    if "convolution_transpose" in name:
        x, weight = operands[:2]  # every input value meets each weight of its channel
        return 2.0 * float(x.numel() * weight.numel() / x.shape[1])
    if "convolution" in name or "linear" in name:
        weight = next(one for one in operands[1:] if one.dim() == (4 if "convolution" in name else 2))
        return 2.0 * float(result.numel() * weight.numel() / weight.shape[0])
    if name.startswith(("bmm", "baddbmm", "mm", "addmm")):
        left, right = operands[-2:]
        return 2.0 * float(left.numel() * right.shape[-1])
    if name.startswith("scaled_dot_product_attention"):
        queries, keys = operands[:2]
        return 4.0 * float(queries.numel() * keys.shape[-2])
    return 0.0


def shares_storage(operands: list[Any], result: Any) -> bool:
    """Whether a result is another view of an operand, so that nothing was moved."""
    dense = [one for one in tensors([*operands, result]) if not one.is_mkldnn]
    return len(dense) > 1 and dense[-1].untyped_storage().data_ptr() == dense[0].untyped_storage().data_ptr()


def tensors(tree: Any) -> Iterator[Any]:
    """The tensors in arguments or results."""
    import torch

    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for one in tree:
            yield from tensors(one)


def memory_rate() -> float:
    """Bytes per second of CPU time that a copy reads and writes, the best of some rounds."""
    import torch

    source = torch.zeros(COPIED // 4)
    target, clock = torch.empty_like(source), Clock()
    clock.warm_up(lambda: target.copy_(source))
    for _ in range(COPIES):
        clock.round(lambda: target.copy_(source))
    return 2 * COPIED / clock.seconds("cpu")
