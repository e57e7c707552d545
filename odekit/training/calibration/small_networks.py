"""Fits small networks to a table: the regression of calibrations that a quadratic does not describe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from odekit.parts.upsamplers.gain_model import SmallNetworks

Array = NDArray[np.float64]
NETWORKS, WIDTH = 8, 16
EPOCHS, BATCH = 200, 200
LEARNING_RATE = 2e-3
DECAY = 1.0
"""Weight of half the squared weights, shared out over a batch."""
TARGET_SCALE = 10.0
"""Targets are multiplied by this, so that gains of a tenth are of the order of one."""


def fit_networks(z: Array, targets: Array, seed: int = 0) -> SmallNetworks:
    """Networks that predict targets (n,) from standardised inputs (n, k), by Adam on the squared error.

    They differ in their first weights (He et al. 2015, uniform) and in the order of the rows.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    inputs, wanted = torch.from_numpy(z).float(), torch.from_numpy(targets * TARGET_SCALE).float()
    rows, count = z.shape

    def drawn(inner: int, *shape: int) -> torch.Tensor:
        values = torch.rand(shape, generator=generator) * 2 - 1
        tensor: torch.Tensor = (values * (6 / inner) ** 0.5).requires_grad_()
        return tensor

    hidden, output = drawn(count, NETWORKS, count, WIDTH), drawn(WIDTH, NETWORKS, WIDTH, 1)
    first, last = (torch.zeros(NETWORKS, 1, n, requires_grad=True) for n in (WIDTH, 1))
    optimiser = torch.optim.Adam([hidden, output, first, last], LEARNING_RATE)
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, 2 * (1 - epoch / EPOCHS))
        order = torch.stack([torch.randperm(rows, generator=generator) for _ in range(NETWORKS)])
        for part in torch.split(order, BATCH, 1):
            predicted = torch.baddbmm(last, torch.baddbmm(first, inputs[part], hidden).relu(), output)[..., 0]
            loss = ((predicted - wanted[part]) ** 2).mean(1).sum() / 2
            weights = (hidden**2).sum() + (output**2).sum()
            optimiser.zero_grad()
            (loss + DECAY / 2 * weights / part.shape[1]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    with torch.no_grad():
        outer = torch.cat([output[..., 0], last[..., 0]], 1) / TARGET_SCALE
        return SmallNetworks(torch.cat([hidden, first], 1).double().numpy(), outer.double().numpy())
