"""Averaging of the weights over a fixed fraction of the steps so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def keep(step: int, width: float) -> float:
    """Share of the old average that is kept at this step (1, 2, ...): `(1 - 1/step)^(1/width)`.

    Power-function averaging (arXiv:2312.02696, eq. 2, with gamma + 1 = 1/width): the average's weight profile is
    s^gamma, so that its mean age stays about `width` of the run so far; the first step takes the weights as they are.
    """
    return float((1.0 - 1.0 / step) ** (1.0 / width))


def update(average: nn.Module, model: nn.Module, share: float) -> None:
    """Move `average` towards `model` in place, keeping `share` of the old values; buffers are copied."""
    import torch

    with torch.no_grad():
        old: list[Tensor] = list(average.parameters())
        new: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(old, new, 1.0 - share)
        for a, b in zip(average.buffers(), model.buffers(), strict=True):
            a.copy_(b)
