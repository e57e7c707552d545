"""The training loss of a prior: targets and min-SNR weights in closed form.

With `x_t = sqrt(abar) x0 + sigma eps`: v = sqrt(abar) eps - sigma x0 (arXiv:2202.00512, appendix D),
SNR = abar / sigma^2, and min-SNR-gamma weights min(SNR, gamma) / (SNR + 1) for v and min(SNR, gamma) / SNR for eps
(arXiv:2303.09556, section 3.4). Both weight the squared error of x0 by min(SNR, gamma).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from odekit.core.schedule import NoiseSchedule
from odekit.training.options.base import DiffusionOptions

if TYPE_CHECKING:
    from torch import Tensor

Prediction = Literal["v", "epsilon"]


def noise_schedule(options: DiffusionOptions) -> NoiseSchedule:
    """The noise schedule of the options."""
    if options.kind == "cosine":
        return NoiseSchedule.cosine(options.timesteps)
    schedule = NoiseSchedule.linear if options.kind == "linear" else NoiseSchedule.scaled_linear
    return schedule(options.start, options.end, options.timesteps)


def loss_weights(schedule: NoiseSchedule, prediction: Prediction, gamma: float | None) -> NDArray[np.float64]:
    """Loss weight of each timestep, (T,); 1 everywhere if gamma is None."""
    if gamma is None:
        return np.ones(len(schedule))
    snr = schedule.abar / (1.0 - schedule.abar)
    return np.minimum(snr, gamma) / (snr + 1.0 if prediction == "v" else snr)


def add_noise(x0: Tensor, eps: Tensor, abar: Tensor) -> Tensor:
    """`x_t` for clean x0 (N, ...) in [-1, 1], noise of the same shape and abar (N,)."""
    a = abar.view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1.0 - a).sqrt() * eps


def target(x0: Tensor, eps: Tensor, abar: Tensor, prediction: Prediction) -> Tensor:
    """The training target of the network, in the shape of x0: v, or the noise."""
    if prediction == "epsilon":
        return eps
    a = abar.view(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * eps - (1.0 - a).sqrt() * x0
